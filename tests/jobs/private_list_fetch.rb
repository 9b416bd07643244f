# A fetcher for Sidekiq 7 and 8 that does on the wire what Sidekiq Pro's super_fetch does: each job goes from its queue to a list
# of the process's own, and out of there when it is done.
require "sidekiq/fetch"

class PrivateListFetch
  Unit = Struct.new(:queue, :list, :job, :config) do
    def acknowledge
      config.redis { |redis| redis.call("lrem", list, -1, job) }
    end

    def queue_name
      queue.delete_prefix("queue:")
    end

    def requeue
      config.redis do |redis|
        redis.multi do |both|
          both.call("rpush", queue, job)
          both.call("lrem", list, -1, job)
        end
      end
    end
  end

  def initialize(config)
    @config = config
    @queues = config.queues.uniq.map { |name| "queue:#{name}" }
  end

  # A look into each queue; then a wait at the first, for a while.
  def retrieve_work
    @queues.shuffle.each do |queue|
      job = @config.redis { |redis| redis.call("lmove", queue, list(queue), "RIGHT", "LEFT") }
      return Unit.new(queue, list(queue), job, @config) if job
    end
    queue = @queues.first
    job = @config.redis { |redis| redis.blocking_call(2, "blmove", queue, list(queue), "RIGHT", "LEFT", 1) }
    Unit.new(queue, list(queue), job, @config) if job
  end

  def bulk_requeue(inprogress)
    inprogress.each(&:requeue)
  end

  private

  def list(queue)
    @identity ||= @config.identity
    "queue:sq|#{@identity}|#{queue.delete_prefix("queue:")}"
  end
end
