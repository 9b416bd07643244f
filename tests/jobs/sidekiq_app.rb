# The Sidekiq application of the tests; the job log is told of in celery_app.py.
require "sidekiq"

Redis.silence_deprecations = true if defined?(Redis) && Redis.respond_to?(:silence_deprecations=)

LOG = File.open(ENV.fetch("JOB_LOG"), File::WRONLY | File::APPEND | File::CREAT)
WORKER = ENV.fetch("WORKER", "-")

def note(what, id)
  LOG.syswrite(format("%s %s %.6f %d %s\n", what, id, Time.now.to_f, Process.pid, WORKER))
end

class Job
  include Sidekiq::Worker
  sidekiq_options retry: false

  def perform(id, seconds)
    note("start", id)
    sleep(seconds)
    note("end", id)
  end
end

Sidekiq.configure_server do |config|
  if ENV["PRIVATE_LISTS"] == "1"
    require_relative "private_list_fetch"
    config[:fetch_class] = PrivateListFetch
  end
  if ENV["CAPSULE"] == "1"
    config.capsule("single") do |capsule|
      capsule.concurrency = 1
      capsule.queues = %w[single]
    end
  end
  config.on(:startup) { note("ready", "-") }
  # The poller looks for due jobs every half second or so, not every five, so that kills fall between its two steps.
  options = config.respond_to?(:options) ? config.options : config
  options[:poll_interval_average] = 0.5
end
