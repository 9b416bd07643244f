# frozen_string_literal: true

# A home-made worker on RabbitMQ with Bunny: takes jobs `ID SECONDS` as many at a time as its prefetch allows, and
# acknowledges each when it is done. The environment is that of pika_jobs.py.

require "bunny"

LOG = File.open(ENV.fetch("JOB_LOG"), "a")
LOG.sync = true

def note(what, id)
  LOG.syswrite(format("%s %s %.6f %d %s\n", what, id, Time.now.to_f, Process.pid, ENV.fetch("WORKER")))
end

host, port = ENV.fetch("BROKER").split(":")
prefetch = Integer(ENV.fetch("PREFETCH"))
connection = Bunny.new(
  host:, port: Integer(port), connection_name: ENV.fetch("CONNECTION_NAME"), network_recovery_interval: 0.5,
).start
channel = connection.create_channel(nil, prefetch)
channel.prefetch(prefetch)
channel.queue("jobs", durable: true).subscribe(manual_ack: true) do |delivery, _properties, body|
  id, seconds = body.split
  note("start", id)
  sleep(Float(seconds))
  note("end", id)
  channel.ack(delivery.delivery_tag)
end
note("ready", "-")
sleep
