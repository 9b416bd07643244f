<?php

// A worker of Symfony's Messenger (without the framework around it), and its producer.
//
//     php symfony_jobs.php worker      works until it is stopped
//     php symfony_jobs.php producer    sends a message for each line `ID SECONDS COUNTDOWN`
//
// DSN is the transport's, with BROKER in the place of its address; NAME is the consumer's. Of the jobs called `job..` each
// fourth fails once before it begins, and comes again half a second later. Lines of the job log are those of celery_app.py.

require_once 'Psr/Container/autoload.php';
require_once 'Psr/Log/autoload.php';
require_once 'Symfony/Component/EventDispatcher/autoload.php';
require_once 'Symfony/Component/Messenger/autoload.php';
require_once 'Symfony/Component/Messenger/Bridge/Amqp/autoload.php';
require_once 'Symfony/Component/Messenger/Bridge/Redis/autoload.php';

use Psr\Container\ContainerInterface;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\Messenger\Bridge\Amqp\Transport\AmqpTransportFactory;
use Symfony\Component\Messenger\Bridge\Redis\Transport\RedisTransportFactory;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\EventListener\SendFailedMessageForRetryListener;
use Symfony\Component\Messenger\Handler\HandlersLocator;
use Symfony\Component\Messenger\MessageBus;
use Symfony\Component\Messenger\Middleware\HandleMessageMiddleware;
use Symfony\Component\Messenger\Retry\MultiplierRetryStrategy;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;
use Symfony\Component\Messenger\Worker;

class Work
{
    public function __construct(public string $id, public float $seconds)
    {
    }
}

/** What the framework's container would be. */
class Only implements ContainerInterface
{
    public function __construct(private object $service)
    {
    }

    public function get(string $id): object
    {
        return $this->service;
    }

    public function has(string $id): bool
    {
        return true;
    }
}

function note(string $what, string $id): void
{
    $line = sprintf("%s %s %.6F %d %s\n", $what, $id, microtime(true), getmypid(), getenv('WORKER') ?: '-');
    file_put_contents(getenv('JOB_LOG'), $line, FILE_APPEND);
}

function work(Work $work): void
{
    $marker = getenv('JOB_LOG').'.'.$work->id;
    if (str_starts_with($work->id, 'job') && crc32($work->id) % 4 === 0 && !file_exists($marker)) {
        touch($marker);
        throw new RuntimeException("$work->id fails once");
    }
    note('start', $work->id);
    usleep((int) ($work->seconds * 1e6));
    note('end', $work->id);
}

$dsn = str_replace('BROKER', getenv('BROKER'), getenv('DSN'));
$redis = str_starts_with($dsn, 'redis:');
$factory = $redis ? new RedisTransportFactory() : new AmqpTransportFactory();
$options = $redis ? ['consumer' => getenv('NAME') ?: 'producer', 'delete_after_ack' => true] : [];
$transport = $factory->createTransport($dsn, $options, new PhpSerializer());

if ($argv[1] === 'producer') {
    while (($line = fgets(STDIN)) !== false) {
        [$id, $seconds, $countdown] = explode(' ', trim($line));
        note('push', $id);
        $delay = (int) ceil((float) $countdown * 1000);
        $transport->send(new Envelope(new Work($id, (float) $seconds), $delay > 0 ? [new DelayStamp($delay)] : []));
    }
} else {
    $events = new EventDispatcher();
    $strategy = new MultiplierRetryStrategy(5, 500, 1);
    $events->addSubscriber(new SendFailedMessageForRetryListener(new Only($transport), new Only($strategy)));
    $bus = new MessageBus([new HandleMessageMiddleware(new HandlersLocator([Work::class => ['work']]))]);
    note('ready', '-');
    (new Worker(['async' => $transport], $bus, $events))->run(['sleep' => 200000]);
}
