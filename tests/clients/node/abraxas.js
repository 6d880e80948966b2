// The check of npm's abraxas: one object is client and worker at once, and jobs are promises and streams.
'use strict'

const path = require('path')
const check = require('./check')
const { expect, promise } = check
const Gearman = require(path.join(process.env.CLIENTS_DIR, 'node/node_modules/abraxas'))

const name = of => 'abraxas-' + of

// A connected client. Payloads are text, unless `options` say otherwise.
async function client (options = {}, ports = [check.portA]) {
  const made = Gearman.Client.connect({
    servers: ports.map(port => `${check.HOST}:${port}`), defaultEncoding: 'utf8', ...options
  })
  made.on('connection-error', error => console.error(error))
  await check.until(() => made.getConnectedServers().length === ports.length, 'connection')
  return made
}

// A job's end: its result, or its error.
const outcome = task => new Promise(resolve => task.then(result => resolve({ result }), error => resolve({ error })))

async function complete (from, of, data, wanted, options = {}) {
  const { result, error } = await outcome(from.submitJob(name(of), options, data))
  if (error) throw error
  expect(result, wanted)
}

const created = task => new Promise((resolve, reject) => { task.once('created', () => resolve(task.jobid)); task.once('error', reject) })

const statusOf = (from, jobid) => new Promise((resolve, reject) => {
  from.getStatus(jobid, (error, status) => error ? reject(error) : resolve(status))
})

// One job, by a worker on the same connection.
async function once (of, work, data, wanted, options = {}) {
  const both = await client()
  both.registerWorker(name(of), work)
  await complete(both, of, data, wanted, options)
  both.disconnect()
}

const upper = task => task.payload.toUpperCase()
const reverse = task => task.payload.split('').reverse().join('')

async function inBackground (of, jobs, wanted) {
  const from = await client()
  for (const [data, options] of jobs) {
    const jobid = await from.submitJobBg(name(of), options, data)
    expect(String(jobid).slice(0, 2), 'H:', 'handle')
  }
  const seen = []
  const all = promise()
  const worker = await client()
  worker.registerWorker(name(of), task => {
    if (seen.push(task.payload) === jobs.length) all.resolve()
    task.end('')
  })
  await all
  expect(seen, wanted, 'workloads')
  from.disconnect()
  worker.disconnect()
}

async function thereAndBack (of, data) {
  const both = await client({ defaultEncoding: 'buffer' })
  both.registerWorker(name(of), task => task.payload)
  const { result, error } = await outcome(both.submitJob(name(of), {}, data))
  if (error) throw error
  expect(Buffer.compare(Buffer.from(result), data), 0, 'difference')
  both.disconnect()
}

// A worker by another library, for what this one's workers do not send. `run` is given the worker and the job's handle.
async function foreign (of, run) {
  const worker = require(path.join(process.env.CLIENTS_DIR, 'node/node_modules/gearman'))(check.HOST, check.portA)
  await new Promise(resolve => worker.connect(resolve))
  worker.on('JOB_ASSIGN', job => { run(worker, job.handle); worker.preSleep() })
  worker.on('NOOP', () => worker.grabJob())
  worker.on('NO_JOB', () => worker.preSleep())
  worker.addFunction(name(of))
  worker.preSleep()
  return worker
}

const cases = {
  foreground: () => once('foreground', reverse, 'Hello', 'olleH'),
  background: () => inBackground('background', [['in the back', {}]], ['in the back']),
  high: () => once('high', upper, 'first', 'FIRST', { priority: 'high' }),
  low: () => once('low', upper, 'first', 'FIRST', { priority: 'low' }),

  async priorities () {
    const jobs = []
    for (const number of [1, 2]) {
      for (const priority of ['low', 'normal', 'high']) jobs.push([priority + number, { priority }])
    }
    await inBackground('priorities', jobs, ['high1', 'high2', 'normal1', 'normal2', 'low1', 'low2'])
  },

  async 'status-running' () {
    const from = await client()
    const worker = await client()
    const running = promise()
    worker.registerWorker(name('status-running'), task => { task.status(0.5); running.resolve({ task }) })
    const job = from.submitJob(name('status-running'), {}, 'x')
    const progress = new Promise(resolve => job.once('status', resolve))
    const end = outcome(job)
    expect(await progress, 0.5, 'progress')
    expect(await statusOf(from, job.jobid), { known: 1, running: 1, complete: 0.5 }, 'status')
    const { task } = await running
    task.end('whole')
    expect((await end).result, 'whole')
    from.disconnect()
    worker.disconnect()
  },

  async 'status-known' () {
    const from = await client()
    const jobid = String(await from.submitJobBg(name('status-known'), {}, 'x'))
    expect(await statusOf(from, jobid), { known: 1, running: 0, complete: 0 }, 'status')
    from.disconnect()
  },

  async 'status-unknown' () {
    const from = await client()
    expect(await statusOf(from, 'H:nobody.knows:4711'), { known: 0, running: 0, complete: 0 }, 'status')
    from.disconnect()
  },

  async progress () {
    const both = await client()
    both.registerWorker(name('progress'), task => { [0.25, 0.5, 1].forEach(part => task.status(part)); return 'end' })
    const job = both.submitJob(name('progress'), {}, 'x')
    const seen = []
    job.on('status', part => seen.push(part))
    expect((await outcome(job)).result, 'end')
    expect(seen, [0.25, 0.5, 1], 'updates')
    both.disconnect()
  },

  // The library's own workers send data only to servers with its own option "streaming".
  async data () {
    const from = await client()
    const worker = await foreign('data', (worker, handle) => {
      for (const part of ['one', 'two']) worker.sendWorkData(handle, part)
      worker.sendWorkComplete(handle, 'end')
    })
    const { result, error } = await outcome(from.submitJob(name('data'), {}, 'x'))
    if (error) throw error
    expect(result, 'onetwoend')
    from.disconnect()
    worker.close()
  },

  async warning () {
    const both = await client()
    both.registerWorker(name('warning'), task => { task.warn('careful'); return 'end' })
    const job = both.submitJob(name('warning'), {}, 'x')
    const seen = []
    job.on('warn', text => seen.push(text))
    expect((await outcome(job)).result, 'end')
    expect(seen, ['careful'], 'warnings')
    both.disconnect()
  },

  // The library asks for exceptions by itself, and its worker sends WORK_EXCEPTION and then WORK_FAIL.
  async exception () {
    const from = await client()
    const worker = await client()
    const errors = []
    worker.on('connection-error', error => errors.push(String(error)))
    worker.registerWorker(name('exception'), task => {
      if (task.payload === 'bad') throw new Error('no good')
      return 'good again'
    })
    const { error } = await outcome(from.submitJob(name('exception'), {}, 'bad'))
    expect([error.name, error.message], ['JobException', 'Error: no good'], 'error')
    await complete(from, 'exception', 'fine', 'good again')
    expect(errors, [], 'errors at the worker')
    from.disconnect()
    worker.disconnect()
  },

  // The library's own workers fail a job only with an exception.
  async fail () {
    const from = await client()
    const worker = await foreign('fail', (worker, handle) => worker.sendWorkFail(handle))
    const { error } = await outcome(from.submitJob(name('fail'), {}, 'x'))
    expect(error.name, 'JobFail', 'error')
    from.disconnect()
    worker.close()
  },

  async unique () {
    const from = [await client(), await client()]
    const jobs = from.map(one => one.submitJob(name('unique'), { uniqueid: 'same' }, 'x'))
    const ends = jobs.map(outcome)
    const handles = await Promise.all(jobs.map(created))
    expect(handles[0], handles[1], 'handle')
    const seen = []
    const worker = await client()
    worker.registerWorker(name('unique'), task => { seen.push(task.uniqueid); return 'once' })
    for (const { result } of await Promise.all(ends)) expect(result, 'once')
    expect(seen, ['same'], 'uniques of the runs')
    for (const one of [...from, worker]) one.disconnect()
  },

  binary: () => thereAndBack('binary', check.EVERY_BYTE),

  async empty () {
    const both = await client()
    both.registerWorkerStream(name('empty'), task => task.pipe(task))
    const { result, error } = await outcome(both.submitJob(name('empty'), {}, ''))
    if (error) throw error
    expect(result.length, 0, 'length')
    both.disconnect()
  },

  large: () => thereAndBack('large', check.LARGE),

  async 'dying-worker' () {
    const from = await client()
    const end = outcome(from.submitJob(name('dying-worker'), {}, 'x'))
    await check.death(check.portA)
    const worker = await client()
    worker.registerWorker(name('dying-worker'), () => 'survived')
    expect((await end).result, 'survived')
    from.disconnect()
    worker.disconnect()
  },

  async 'several-functions' () {
    const from = await client()
    const worker = await client()
    worker.registerWorker(name('several-upper'), upper)
    worker.registerWorker(name('several-reverse'), reverse)
    worker.registerWorker(name('several-length'), task => String(task.payload.length))
    await complete(from, 'several-length', 'abc', '3')
    await complete(from, 'several-upper', 'abc', 'ABC')
    await complete(from, 'several-reverse', 'abc', 'cba')
    worker.forgetAllWorkers()
    await check.untilStatus(check.portA, name('several-reverse'), [0, 0, 0])
    from.disconnect()
    worker.disconnect()
  },

  // CAN_DO_TIMEOUT: the job of a worker that is too slow goes to another one. (The client's own, responseTimeout, the
  // library forgets as soon as the job is created.)
  async timeout () {
    const from = await client()
    const slow = await client()
    const running = promise()
    slow.registerWorker(name('timeout'), { timeout: 1000 }, () => { running.resolve() })
    const end = outcome(from.submitJob(name('timeout'), {}, 'x'))
    await running
    const worker = await client()
    worker.registerWorker(name('timeout'), () => 'in time')
    expect((await end).result, 'in time')
    for (const one of [from, slow, worker]) one.disconnect()
  },

  async echo () {
    const from = await client()
    const { result, error } = await outcome(from.echo('any bytes'))
    if (error) throw error
    expect(String(result), 'any bytes', 'echo')
    from.disconnect()
  },

  async admin () {
    const both = await client()
    both.setClientId('worker-of-abraxas')
    both.registerWorker(name('admin'), () => 'x')
    await complete(both, 'admin', 'x', 'x')
    await both.submitJobBg(name('admin-queued'), {}, 'x')
    const status = await new Promise((resolve, reject) => both.status((error, seen) => error ? reject(error) : resolve(seen)))
    expect(status[name('admin')], { function: name('admin'), inqueue: 0, running: 0, workers: 1 }, 'status')
    expect(status[name('admin-queued')], { function: name('admin-queued'), inqueue: 1, running: 0, workers: 0 }, 'status')
    const workers = await new Promise((resolve, reject) => both.workers((error, seen) => error ? reject(error) : resolve(seen)))
    const mine = [].concat(workers).filter(({ clientid }) => clientid === 'worker-of-abraxas')
    expect(mine.map(({ ip, functions }) => [ip, functions]), [[check.HOST, [name('admin')]]], 'workers')
    both.disconnect()
  },

  // Client and worker connect again by themselves, and the worker registers again.
  async restart () {
    const from = await client()
    const worker = await client()
    worker.registerWorker(name('restart'), upper)
    await complete(from, 'restart', 'before', 'BEFORE')
    const lost = [from, worker].map(one => new Promise(resolve => one.once('disconnect', resolve)))
    await check.please('kill A')
    await Promise.all(lost)
    await check.please('start A')
    await complete(from, 'restart', 'after', 'AFTER')
    from.disconnect()
    worker.disconnect()
  },

  async 'two-servers' () {
    const both = [check.portA, check.portB]
    const from = await client({}, both)
    const worker = await client({}, both)
    worker.registerWorker(name('two-servers'), upper)
    for (let number = 0; number < 4; number++) await complete(from, 'two-servers', 'both', 'BOTH')
    const lost = [from, worker].map(one => new Promise(resolve => one.once('disconnect', resolve)))
    await check.please('kill A')
    await Promise.all(lost)
    for (let number = 0; number < 4; number++) await complete(from, 'two-servers', 'one', 'ONE')
    await check.please('start A')
    from.disconnect()
    worker.disconnect()
  },

  // The worker holds three jobs on one connection.
  async 'max-jobs' () {
    const from = await client()
    const worker = await client({ maxJobs: 3 })
    const held = []
    const all = promise()
    worker.registerWorker(name('max-jobs'), task => { if (held.push(task) === 3) all.resolve() })
    const ends = ['1', '2', '3'].map(data => outcome(from.submitJob(name('max-jobs'), {}, data)))
    await all
    held.reverse().forEach(task => task.end(task.payload))
    expect((await Promise.all(ends)).map(({ result }) => result), ['1', '2', '3'], 'results')
    from.disconnect()
    worker.disconnect()
  },

  // SUBMIT_JOB_EPOCH.
  async epoch () {
    const from = await client()
    const jobid = String(await from.submitJobAt(name('epoch'), new Date(Date.now() - 1000), {}, 'due'))
    expect(jobid.slice(0, 2), 'H:', 'handle')
    const seen = promise()
    from.registerWorker(name('epoch'), task => { seen.resolve(task.payload); return 'x' })
    expect(await seen, 'due', 'workload')
    from.disconnect()
  },

  // A server of its own kind would say yes; ours refuses the option and keeps the connection.
  async 'streaming-refused' () {
    const refused = promise()
    const from = Gearman.Client.connect({ servers: [`${check.HOST}:${check.portA}`], streaming: true })
    from.on('connection-error', refused.resolve)
    await Promise.race([refused, check.until(() => from.getConnectedServers().length, 'connection')])
    from.disconnect()
  }
}

if (process.argv[2] === 'dying') {
  client().then(worker => worker.registerWorker(name('dying-worker'), () => process.exit(1)))
} else {
  check.version('abraxas')
  check.run(cases)
}
