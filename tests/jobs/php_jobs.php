<?php

// A home-made worker on RabbitMQ with php-amqplib: works at one job `ID SECONDS` after the other, keeps as many as its
// prefetch allows, and acknowledges each when it is done. The environment is that of pika_jobs.py.

require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPConnectionFactory;

function note(string $what, string $id): void
{
    $line = sprintf("%s %s %.6F %d %s\n", $what, $id, microtime(true), getmypid(), getenv('WORKER'));
    file_put_contents(getenv('JOB_LOG'), $line, FILE_APPEND);
}

[$host, $port] = explode(':', getenv('BROKER'));
$config = new AMQPConnectionConfig();
$config->setHost($host);
$config->setPort((int) $port);
$config->setConnectionName(getenv('CONNECTION_NAME'));
$channel = AMQPConnectionFactory::create($config)->channel();
$channel->queue_declare('jobs', false, true, false, false);
$channel->basic_qos(0, (int) getenv('PREFETCH'), false);
$channel->basic_consume('jobs', '', false, false, false, false, function ($message) {
    [$id, $seconds] = explode(' ', $message->getBody());
    note('start', $id);
    usleep((int) ($seconds * 1e6));
    note('end', $id);
    $message->ack();
});
note('ready', '-');
while ($channel->is_consuming()) {
    $channel->wait();
}
