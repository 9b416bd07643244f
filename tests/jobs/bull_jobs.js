// BullMQ and Bull workers of the tests and their producer.
//
//   node bull_jobs.js worker      CONCURRENCY jobs at a time
//   node bull_jobs.js producer    adds a job for each line `ID SECONDS COUNTDOWN`
//
// MODULES is the folder of the packages, and LIBRARY says which: bullmq or bull. With RETRIES=1 each job fails once: attempt
// 1 of job a is called a.1 in the job log, whose lines are those of celery_app.py. PADDING makes results that long.
const fs = require("node:fs");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const library = process.env.LIBRARY;
const { Queue, Worker } = (() => {
  const found = createRequire(`${process.env.MODULES}/index.js`)(library);
  return library === "bull" ? { Queue: found } : found;
})();
const [host, port] = process.env.BROKER.split(":");
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const log = fs.openSync(process.env.JOB_LOG, "a");
const concurrency = Number(process.env.CONCURRENCY || "2");
const retries = Number(process.env.RETRIES || "0");
const padding = "x".repeat(Number(process.env.PADDING || "0"));

function note(what, id) {
  const worker = process.env.WORKER || "producer";
  fs.writeSync(log, `${what} ${id} ${(Date.now() / 1000).toFixed(6)} ${process.pid} ${worker}\n`);
}

async function run(job) {
  const attempt = job.attemptsMade;
  const name = attempt ? `${job.data.id}.${attempt}` : job.data.id;
  note("start", name);
  await new Promise((done) => setTimeout(done, job.data.seconds * 1000));
  if (attempt < retries) {
    note("push", `${job.data.id}.${attempt + 1}`);
    note("end", name);
    throw new Error("once more");
  }
  note("end", name);
  return padding;
}

async function worker() {
  if (library === "bull") {
    const queue = new Queue("jobs", { redis: { host, port: Number(port) } });
    queue.process("job", concurrency, run);
    await queue.isReady();
  } else {
    const one = new Worker("jobs", run, { connection, concurrency, name: process.env.NAME });
    one.on("error", (error) => console.error(error));
    await one.waitUntilReady();
  }
  note("ready", "-");
}

async function producer() {
  const queue = new Queue("jobs", library === "bull" ? { redis: { host, port: Number(port) } } : { connection });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [id, seconds, countdown] = line.split(" ");
    note("push", id);
    const options = { delay: Number(countdown) * 1000, attempts: retries + 1, backoff: Number(process.env.BACKOFF || "0") };
    await queue.add("job", { id, seconds: Number(seconds) }, options);
  }
  await queue.close();
}

({ worker, producer })[process.argv[2]]();
