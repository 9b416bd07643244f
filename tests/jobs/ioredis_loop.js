// A loop of nobody's own around ioredis, and its producer.
//
//   node ioredis_loop.js worker      takes jobs by KIND: `list` (BRPOP) or `private` (BLMOVE, LREM)
//   node ioredis_loop.js producer    pushes a job for each line `ID SECONDS COUNTDOWN`
//
// MODULES is the folder of the packages. Lines of the job log are those of celery_app.py.
const fs = require("node:fs");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const { Redis } = createRequire(`${process.env.MODULES}/index.js`)("ioredis");
const [host, port] = process.env.BROKER.split(":");
const redis = new Redis({ host, port: Number(port), connectionName: process.env.NAME, maxRetriesPerRequest: null });
const log = fs.openSync(process.env.JOB_LOG, "a");
const own = `mine:${process.env.WORKER}`;

function note(what, id) {
  const worker = process.env.WORKER || "producer";
  fs.writeSync(log, `${what} ${id} ${(Date.now() / 1000).toFixed(6)} ${process.pid} ${worker}\n`);
}

async function run([id, seconds]) {
  note("start", id);
  await new Promise((done) => setTimeout(done, seconds * 1000));
  note("end", id);
}

async function worker() {
  await redis.ping();
  note("ready", "-");
  for (;;) {
    if (process.env.KIND === "list") {
      const found = await redis.brpop("jobs", 1);
      if (found) await run(JSON.parse(found[1]));
    } else {
      const found = await redis.blmove("jobs", own, "RIGHT", "LEFT", 1);
      if (found) await run(JSON.parse(found)).then(() => redis.lrem(own, 1, found));
    }
  }
}

async function producer() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [id, seconds] = line.split(" ");
    note("push", id);
    await redis.lpush("jobs", JSON.stringify([id, Number(seconds)]));
  }
  await redis.quit();
}

({ worker, producer })[process.argv[2]]();
