// Puts jobs in: node fill.js REDIS-SOCKET FILE.jsonl (a line each: {"customer","product","data"}).
'use strict';
const fs = require('node:fs');
const { Queue } = require('bullmq');
const Redis = require('ioredis');

async function main() {
  const queue = new Queue('messages', { connection: new Redis(process.argv[2], { maxRetriesPerRequest: null }) });
  const lines = fs.readFileSync(process.argv[3], 'utf8').split('\n').filter(Boolean);
  for (let i = 0; i < lines.length; i += 1000) {
    await queue.addBulk(lines.slice(i, i + 1000).map((line, j) => ({
      name: 'message', data: JSON.parse(line), opts: { jobId: 'm-' + (i + j), attempts: 3, backoff: { type: 'exponential', delay: 1000 } },
    })));
  }
  await queue.close();
  process.exit(0);
}
main();
