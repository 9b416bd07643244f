// A home-made worker on RabbitMQ with amqplib: takes jobs `ID SECONDS` as many at a time as its prefetch allows, and
// acknowledges each when it is done. The environment is that of pika_jobs.py.

const amqplib = require("amqplib");
const fs = require("fs");

const { BROKER, CONNECTION_NAME, JOB_LOG, PREFETCH, WORKER } = process.env;
const log = fs.openSync(JOB_LOG, "a");

function note(what, id) {
  fs.writeSync(log, `${what} ${id} ${(Date.now() / 1000).toFixed(6)} ${process.pid} ${WORKER}\n`);
}

async function main() {
  const connection = await amqplib.connect(`amqp://guest:guest@${BROKER}?heartbeat=5`, {
    clientProperties: { connection_name: CONNECTION_NAME },
  });
  connection.on("close", () => process.exit(1));
  const channel = await connection.createChannel();
  await channel.assertQueue("jobs", { durable: true });
  await channel.prefetch(Number(PREFETCH));
  await channel.consume("jobs", (message) => {
    const [id, seconds] = message.content.toString().split(" ");
    note("start", id);
    setTimeout(() => {
      note("end", id);
      channel.ack(message);
    }, Number(seconds) * 1000);
  });
  note("ready", "-");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
