// A worker as a good Node engineer would write it: BullMQ, preferences and addresses in Redis hashes by pipelined reads,
// templates compiled once, kept connections, a pool of SMTP sessions, and a history in SQLite with group commit. A job is done
// when its history row is on the disk.
//
//   node worker.js CONFIG.json
'use strict';
const fs = require('node:fs');
const crypto = require('node:crypto');
const path = require('node:path');
const { Worker } = require('bullmq');
const Redis = require('ioredis');
const nodemailer = require('nodemailer');
const { Pool } = require('undici');
const Handlebars = require('handlebars');
const Database = require('better-sqlite3');

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));

// --- templates: heed's own files, with Handlebars' way to say "if it is there", compiled once ---

const folder = config.templates;

function read(file) {
  const open = [];
  return fs.readFileSync(path.join(folder, file), 'utf8').replace(/\{\{([#^/])([\w.]+)\}\}/g, (all, mark, name) => {
    if (mark === '/') return `{{/${open.pop()}}}`;
    open.push(mark === '#' ? 'if' : 'unless');
    return `{{#${open.at(-1)} ${name}}}`;
  });
}
for (const file of fs.readdirSync(path.join(folder, 'partials'))) Handlebars.registerPartial(file, read('partials/' + file));
const compile = (file, noEscape) => Handlebars.compile(read('messages/payment-received/' + file), { noEscape });
const templates = {
  subject: compile('email.subject', true), text: compile('email.text', true), html: compile('email.html', false),
  sms: compile('sms', true),
};

// --- senders ---

const http = new Pool(config.http, { connections: 128, pipelining: 1, keepAliveTimeout: 600000 });
const mail = nodemailer.createTransport({
  host: '127.0.0.1', port: config.smtp, secure: false, ignoreTLS: true, pool: true, maxConnections: 8, maxMessages: 100,
});
const keys = new Map();

async function webhook(job, view, address) {
  const body = JSON.stringify({ type: 'payment-received', id: job.id, customer: view.customer.id, product: view.product.id, ...job.data.data });
  const at = Math.floor(Date.now() / 1000);
  let key = keys.get(address.secret);
  if (!key) keys.set(address.secret, key = Buffer.from(address.secret.slice(6), 'base64'));
  const signature = 'v1,' + crypto.createHmac('sha256', key).update(`${job.id}.${at}.${body}`).digest('base64');
  const { statusCode, body: answer } = await http.request({
    path: address.path, method: 'POST', body,
    headers: { 'content-type': 'application/json', 'webhook-id': job.id, 'webhook-timestamp': String(at), 'webhook-signature': signature },
  });
  await answer.dump();
  if (statusCode < 200 || statusCode > 299) throw new Error('status ' + statusCode);
  return String(statusCode);
}

async function sms(job, view, address) {
  const query = new URLSearchParams({ username: 'bench', password: 'bench-password', from: 'Bank', to: address.number, text: templates.sms(view) });
  const { statusCode, body } = await http.request({ path: '/cgi-bin/sendsms?' + query, method: 'GET' });
  await body.dump();
  if (statusCode !== 202) throw new Error('status ' + statusCode);
  return String(statusCode);
}

async function email(job, view, address) {
  const info = await mail.sendMail({
    from: 'Example Bank <messages@example.com>', to: address.address, subject: templates.subject(view).trim(),
    text: templates.text(view), html: templates.html(view), envelope: { from: 'bounces@example.com', to: address.address },
  });
  return info.response.slice(0, 60);
}
const senders = { webhook, sms, email };

// --- history: one commit for all that came in meanwhile ---

const db = new Database(config.db, { timeout: 10000 });
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`CREATE TABLE IF NOT EXISTS history (seq INTEGER PRIMARY KEY, at INTEGER, message TEXT, customer TEXT, product TEXT,
  channel TEXT, state TEXT, code TEXT, summary TEXT)`);
db.exec('CREATE INDEX IF NOT EXISTS history_by_customer ON history (customer)');
const insert = db.prepare('INSERT INTO history (at, message, customer, product, channel, state, code, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
const insertAll = db.transaction((rows) => { for (const row of rows) insert.run(...row.values); });
let waiting = [];

function flush() {
  const rows = waiting;
  waiting = [];
  try {
    insertAll.immediate(rows);
    for (const row of rows) row.resolve();
  } catch (error) {
    for (const row of rows) row.reject(error);
  }
}

function record(...values) {
  return new Promise((resolve, reject) => {
    waiting.push({ values, resolve, reject });
    if (waiting.length === 1) setTimeout(flush, 5);
  });
}

// --- the work ---

const redis = new Redis(config.redis, { enableAutoPipelining: true });
const defaults = { 'alerts-webhook': ['webhook'], 'alerts-email': ['email'], 'alerts-sms': ['sms'] };

async function handle(job) {
  const { customer, product, data } = job.data;
  const [facts, chosen] = await Promise.all([redis.hgetall('customer:' + customer), redis.hget('preferences:' + customer, product)]);
  const list = chosen ? JSON.parse(chosen) : defaults[product];
  const channel = list.find((name) => facts[name]);
  if (!channel) throw new Error('no channel');
  const view = { ...data, customer: { id: customer, name: facts.name }, product: { id: product, title: product }, message: { id: job.id } };
  const code = await senders[channel](job, view, JSON.parse(facts[channel]));
  await record(Date.now(), job.id, customer, product, channel, 'sent', code, templates.subject(view));
}

const worker = new Worker('messages', handle, {
  connection: new Redis(config.redis, { maxRetriesPerRequest: null }), concurrency: 200,
  removeOnComplete: { count: 0 }, removeOnFail: { count: 1000 },
});
worker.on('failed', (job, error) => console.error('failed', job && job.id, error.message));
worker.on('error', (error) => console.error(error.message));
process.on('SIGTERM', async () => { await worker.close(); process.exit(0); });
