# What Sidekiq's own executable does, with whatever Sidekiq the Ruby finds.
require "sidekiq/cli"

cli = Sidekiq::CLI.instance
cli.parse(["-r", File.expand_path("sidekiq_app.rb", __dir__), *ARGV])
cli.run
