// The check of npm's node-gearman: jobs and workers, as event emitters and streams.
'use strict'

const check = require('./check')
const { expect, promise } = check
const Gearman = require(require('path').join(process.env.CLIENTS_DIR, 'node/node_modules/node-gearman'))

const name = of => 'node-gearman-' + of

function connection (port = check.portA) {
  const gearman = new Gearman(check.HOST, port)
  gearman.on('error', error => console.error(error))
  return gearman
}

// A worker with functions by name, each as the library calls it: with the payload and the worker's half of the job.
function working (functions, port) {
  const gearman = connection(port)
  for (const of in functions) gearman.registerWorker(of, functions[of])
  return gearman
}

// What came of a job: its data, and 'end' or 'error'.
function outcome (job) {
  const data = []
  return new Promise(resolve => {
    job.on('data', chunk => data.push(chunk))
    job.on('end', () => resolve({ data, how: 'end' }))
    job.on('error', error => resolve({ data, how: error.message }))
    job.on('timeout', () => resolve({ data, how: 'timeout' }))
  })
}

async function complete (gearman, of, data, wanted, options) {
  const seen = await outcome(gearman.submitJob(name(of), data, null, options))
  expect([Buffer.concat(seen.data).toString('latin1'), seen.how], [Buffer.from(wanted).toString('latin1'), 'end'])
}

const reverse = (payload, worker) => worker.end(payload.toString().split('').reverse().join(''))
const upper = (payload, worker) => worker.end(payload.toString().toUpperCase())
const mirror = (payload, worker) => worker.end(payload)

async function once (of, work, data, wanted, options) {
  const client = connection()
  const worker = working({ [name(of)]: work })
  await complete(client, of, data, wanted, options)
  client.close()
  worker.close()
}

// The workloads of `count` background jobs. The library appends an empty argument to background jobs, and so a NUL.
function noting (seen, count) {
  const all = promise()
  const work = (payload, worker) => {
    seen.push(payload.toString())
    worker.end()
    if (seen.length === count) all.resolve()
  }
  return { all, work }
}

async function inBackground (of, jobs, wanted) {
  const client = connection()
  for (const [payload, options] of jobs) client.submitJob(name(of), payload, null, { background: true, ...options })
  await check.untilStatus(check.portA, name(of), [jobs.length, 0, 0])
  const seen = []
  const { all, work } = noting(seen, jobs.length)
  const worker = working({ [name(of)]: work })
  await all
  expect(seen, wanted, 'workloads')
  client.close()
  worker.close()
}

const NO_STATUS = 'the library has no status'

const cases = {
  foreground: () => once('foreground', reverse, 'Hello', 'olleH'),

  // The library gives its users no handle of a background job.
  background: () => inBackground('background', [['in the back', {}]], ['in the back\0']),
  high: () => once('high', upper, 'first', 'FIRST', { priority: 'high' }),
  low: () => once('low', upper, 'first', 'FIRST', { priority: 'low' }),

  async priorities () {
    const jobs = []
    for (const number of [1, 2]) {
      for (const priority of ['low', 'normal', 'high']) jobs.push([priority + number, { priority }])
    }
    const order = ['high1', 'high2', 'normal1', 'normal2', 'low1', 'low2']
    await inBackground('priorities', jobs, order.map(payload => payload + '\0'))
  },

  'status-running': NO_STATUS,
  'status-known': NO_STATUS,
  'status-unknown': NO_STATUS,
  progress: NO_STATUS,

  async data () {
    const client = connection()
    const worker = working({
      [name('data')]: (payload, worker) => {
        worker.write('one')
        worker.write(Buffer.from([0, 1, 2]))
        worker.end('end')
      }
    })
    const seen = await outcome(client.submitJob(name('data'), ''))
    expect(seen, { data: ['one', '\0\x01\x02', 'end'].map(part => Buffer.from(part)), how: 'end' }, 'data')
    client.close()
    worker.close()
  },

  warning: 'the library has no warnings',
  exception: 'the library has no exceptions',

  async fail () {
    const client = connection()
    const worker = working({ [name('fail')]: (payload, worker) => worker.error(new Error('no good')) })
    for (let number = 0; number < 2; number++) {
      expect(await outcome(client.submitJob(name('fail'), '')), { data: [], how: 'Job failed' }, 'outcome')
    }
    client.close()
    worker.close()
  },

  // From two connections: the library itself keeps one job for each handle of a connection.
  async unique () {
    const clients = [connection(), connection()]
    const jobs = clients.map(client => client.submitJob(name('unique'), '', 'same'))
    const outcomes = jobs.map(outcome)
    await check.until(() => jobs.every(job => job.handle), 'handles')
    expect(jobs[0].handle, jobs[1].handle, 'handle')
    let runs = 0
    const worker = working({ [name('unique')]: (payload, worker) => { runs++; worker.end('once') } })
    for (const { data } of await Promise.all(outcomes)) expect(data.map(String), ['once'])
    expect(runs, 1, 'runs')
    for (const gearman of [...clients, worker]) gearman.close()
  },

  binary: () => once('binary', mirror, check.EVERY_BYTE, check.EVERY_BYTE),
  empty: () => once('empty', (payload, worker) => worker.end(payload), '', ''),
  large: () => once('large', mirror, check.LARGE, check.LARGE),

  async 'dying-worker' () {
    const client = connection()
    const job = client.submitJob(name('dying-worker'), '')
    const end = outcome(job)
    await check.death(check.portA)
    const worker = working({ [name('dying-worker')]: (payload, worker) => worker.end('survived') })
    expect((await end).data.map(String), ['survived'])
    client.close()
    worker.close()
  },

  async 'several-functions' () {
    const client = connection()
    const worker = working({
      [name('several-upper')]: upper,
      [name('several-reverse')]: reverse,
      [name('several-length')]: (payload, worker) => worker.end(String(payload.length))
    })
    await complete(client, 'several-length', 'abc', '3')
    await complete(client, 'several-upper', 'abc', 'ABC')
    await complete(client, 'several-reverse', 'abc', 'cba')
    client.close()
    worker.close()
  },

  // The client's: the job is given up.
  async timeout () {
    const client = connection()
    const job = client.submitJob(name('timeout'), '')
    job.setTimeout(100)
    expect((await outcome(job)).how, 'timeout', 'end of the job')
    client.close()
  },

  echo: 'the library has no echo',
  admin: 'the library has no client for administrators',

  // Client and worker hear of the loss; a new submission connects again, a worker registers again.
  async restart () {
    const lost = [promise(), promise()]
    const client = connection()
    const worker = connection()
    client.on('close', lost[0].resolve)
    worker.on('close', () => { worker.closed = true; lost[1].resolve() })
    worker.registerWorker(name('restart'), upper)
    await complete(client, 'restart', 'before', 'BEFORE')
    const running = outcome(client.submitJob(name('restart-nobody'), ''))
    await check.untilStatus(check.portA, name('restart-nobody'), [1, 0, 0])
    await check.please('kill A')
    await Promise.all(lost)
    expect((await running).how, 'Job failed', 'end of the job that was under way')
    await check.please('start A')
    worker.registerWorker(name('restart'), upper)
    await complete(client, 'restart', 'after', 'AFTER')
    client.close()
    worker.close()
  },

  'two-servers': 'the library connects to one server',

  // Workers are writable streams, jobs readable ones.
  async streams () {
    const { PassThrough } = require('stream')
    const client = connection()
    const worker = working({
      [name('streams')]: (payload, worker) => {
        const input = new PassThrough()
        input.pipe(worker)
        for (let number = 0; number < 100; number++) input.write('x'.repeat(1000))
        input.end()
      }
    })
    const output = new PassThrough()
    client.submitJob(name('streams'), '').pipe(output)
    let length = 0
    for await (const chunk of output) length += chunk.length
    expect(length, 100000, 'length')
    client.close()
    worker.close()
  },

  // Fifty jobs at once on one connection, by one worker.
  async 'fifty-jobs' () {
    const client = connection()
    const worker = working({ [name('fifty')]: mirror })
    const numbers = Array.from({ length: 50 }, (_, number) => String(number))
    await Promise.all(numbers.map(number => complete(client, 'fifty', number, number)))
    client.close()
    worker.close()
  }
}

if (process.argv[2] === 'dying') {
  working({ [name('dying-worker')]: () => process.exit(1) })
} else {
  check.version('node-gearman')
  check.run(cases)
}
