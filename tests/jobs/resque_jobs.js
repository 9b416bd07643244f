// node-resque workers of the tests and their producer.
//
//   node resque_jobs.js worker      WORKERS of them in one process on one connection, with a scheduler if SCHEDULER=1
//   node resque_jobs.js producer    enqueues a job for each line `ID SECONDS COUNTDOWN`
//
// MODULES is the folder of the packages. Lines of the job log are those of celery_app.py.
const fs = require("node:fs");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const found = createRequire(`${process.env.MODULES}/index.js`);
const { Queue, Scheduler, Worker } = found("node-resque");
const Redis = found("ioredis");
const [host, port] = process.env.BROKER.split(":");
const log = fs.openSync(process.env.JOB_LOG, "a");

function note(what, id) {
  const worker = process.env.WORKER || "producer";
  fs.writeSync(log, `${what} ${id} ${(Date.now() / 1000).toFixed(6)} ${process.pid} ${worker}\n`);
}

const jobs = {
  run: {
    perform: async (id, seconds) => {
      note("start", id);
      await new Promise((done) => setTimeout(done, seconds * 1000));
      note("end", id);
    },
  },
};

async function worker() {
  const redis = new Redis({ host, port: Number(port), maxRetriesPerRequest: null });
  const options = { connection: { redis }, queues: ["high", "low"], timeout: 300 };
  const count = Number(process.env.WORKERS || "1");
  for (let number = 0; number < count; number++) {
    const one = new Worker({ ...options, name: count > 1 ? `${process.env.NAME}+${number}` : process.env.NAME }, jobs);
    one.on("error", (error) => console.error(error));
    await one.connect();
    await one.start();
  }
  if (process.env.SCHEDULER === "1") {
    const scheduler = new Scheduler({ connection: { host, port: Number(port) }, timeout: 300, leaderLockTimeout: 2 });
    scheduler.on("error", (error) => console.error(error));
    await scheduler.connect();
    await scheduler.start();
  }
  note("ready", "-");
}

async function producer() {
  const queue = new Queue({ connection: { host, port: Number(port) } }, jobs);
  await queue.connect();
  let number = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [id, seconds, countdown] = line.split(" ");
    note("push", id);
    const [name, args] = [number++ % 2 ? "high" : "low", [id, Number(seconds)]];
    if (Number(countdown)) await queue.enqueueIn(Number(countdown) * 1000, name, "run", args);
    else await queue.enqueue(name, "run", args);
  }
  await queue.end();
}

({ worker, producer })[process.argv[2]]();
