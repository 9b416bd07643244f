<?php

// A worker of Laravel's queues (illuminate/queue without the framework), and its producer.
//
//     php laravel_jobs.php worker      works until it is stopped
//     php laravel_jobs.php producer    pushes a job for each line `ID SECONDS COUNTDOWN`
//
// CLIENT is phpredis or predis; QUEUES (high,low), PREFIX, BLOCK_FOR and RETRY_AFTER (seconds) are what an application has in
// its configuration. Of the jobs called `job..` each fourth fails once before it begins, and comes again; those called
// `failing..` fail for good, and end in their callback. Lines of the job log are those of celery_app.py.

require_once 'Illuminate/Queue/autoload.php';
require_once 'Illuminate/Events/autoload.php';
require_once 'Illuminate/Redis/autoload.php';
require_once 'Predis/autoload.php';

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Events\Dispatcher as Events;
use Illuminate\Events\Dispatcher;
use Illuminate\Queue\Capsule\Manager;
use Illuminate\Queue\Connectors\RedisConnector;
use Illuminate\Queue\Worker;
use Illuminate\Queue\WorkerOptions;
use Illuminate\Redis\RedisManager;

function note(string $what, string $id): void
{
    $line = sprintf("%s %s %.6F %d %s\n", $what, $id, microtime(true), getmypid(), getenv('WORKER') ?: '-');
    file_put_contents(getenv('JOB_LOG'), $line, FILE_APPEND);
}

/** Signals cut a sleep short. */
function rest(float $seconds): void
{
    $until = microtime(true) + $seconds;
    while (($left = $until - microtime(true)) > 0) {
        usleep((int) ($left * 1e6));
    }
}

class Work
{
    public function fire($job, array $data): void
    {
        ['id' => $id, 'seconds' => $seconds] = $data;
        if (str_starts_with($id, 'job') && crc32($id) % 4 === 0 && $job->attempts() === 1) {
            throw new RuntimeException("$id fails once");
        }
        note('start', $id);
        if (str_starts_with($id, 'failing')) {
            $job->fail(new RuntimeException("$id fails for good"));
            return;
        }
        rest($seconds);
        note('end', $id);
        $job->delete();
    }

    public function failed(array $data): void
    {
        rest($data['seconds']);
        note('end', $data['id']);
    }
}

class Report implements ExceptionHandler
{
    public function report(Throwable $e)
    {
        fwrite(STDERR, get_class($e).': '.$e->getMessage()."\n");
    }

    public function shouldReport(Throwable $e)
    {
        return true;
    }

    public function render($request, Throwable $e)
    {
    }

    public function renderForConsole($output, Throwable $e)
    {
    }
}

function setting(string $name, ?string $usual = null): ?string
{
    $value = getenv($name);

    return $value === false ? $usual : $value;
}

[$host, $port] = explode(':', getenv('BROKER'));
$queues = setting('QUEUES', 'default');
$blockFor = setting('BLOCK_FOR');
$manager = new Manager();
$app = $manager->getContainer();
$events = new Dispatcher($app);
$app->instance(Events::class, $events);
$app->instance(ExceptionHandler::class, new Report());
$redis = new RedisManager($app, setting('CLIENT', 'phpredis'), [
    'options' => ['prefix' => setting('PREFIX', '')],
    'default' => ['host' => $host, 'port' => (int) $port, 'name' => setting('NAME')],
]);
$manager->addConnector('redis', fn () => new RedisConnector($redis));
$manager->addConnection([
    'driver' => 'redis',
    'connection' => 'default',
    'queue' => 'default',
    'retry_after' => (int) setting('RETRY_AFTER', '90'),
    'block_for' => $blockFor === null ? null : (int) $blockFor,
]);

if ($argv[1] === 'producer') {
    $queues = explode(',', $queues);
    while (($line = fgets(STDIN)) !== false) {
        [$id, $seconds, $countdown] = explode(' ', trim($line));
        note('push', $id);
        $data = ['id' => $id, 'seconds' => (float) $seconds];
        $queue = $queues[crc32($id) % count($queues)];
        $due = (int) ceil((float) $countdown);
        if ($due > 0) {
            $manager->getConnection()->later($due, 'Work', $data, $queue);
        } else {
            $manager->getConnection()->push('Work', $data, $queue);
        }
    }
} else {
    $worker = new Worker($manager->getQueueManager(), $events, new Report(), fn () => false);
    note('ready', '-');
    $worker->daemon('default', $queues, new WorkerOptions(sleep: 0.2, maxTries: 5));
}
