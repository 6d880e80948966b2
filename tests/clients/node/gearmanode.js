// The check of npm's gearmanode.
//
// It asks for winston 0.7.1 or newer and does not start with winston 3, so that its users pin winston 2, as package.json
// beside this file does. Its workers ask for no job when they start, and sleep once for each function.
'use strict'

const path = require('path')
const check = require('./check')
const { expect, promise } = check
const modules = path.join(process.env.CLIENTS_DIR, 'node/node_modules')

// The library logs to standard output, which belongs to the harness.
const winston = require(path.join(modules, 'winston'))
winston.remove(winston.transports.Console)
const levels = Object.keys(winston.config.npm.levels)
winston.loggers.options.transports = [new winston.transports.Console({ level: 'error', stderrLevels: levels })]
const gearmanode = require(path.join(modules, 'gearmanode'))

const name = of => 'gearmanode-' + of
const servers = ports => ({ servers: ports.map(port => ({ host: check.HOST, port })) })

function client (ports = [check.portA], options) {
  const made = gearmanode.client({ ...servers(ports), ...options })
  made.on('error', error => console.error(error))
  return made
}

function working (functions, { ports = [check.portA], options = {}, withUnique } = {}) {
  const worker = gearmanode.worker({ ...servers(ports), withUnique })
  worker.on('error', error => console.error(error))
  for (const of in functions) worker.addFunction(of, functions[of], options)
  return worker
}

// What came of a job: its events, in order, and what came with them.
function outcome (job) {
  const events = []
  return new Promise(resolve => {
    for (const kind of ['workData', 'warning', 'status']) job.on(kind, data => events.push([kind, data]))
    job.on('complete', () => resolve({ events, end: 'complete', response: job.response }))
    for (const kind of ['failed', 'exception', 'error', 'close']) {
      job.on(kind, data => resolve({ events, end: kind, data }))
    }
  })
}

async function complete (from, of, payload, wanted, options) {
  const { end, response } = await outcome(from.submitJob(name(of), payload, options))
  expect([end, String(response)], ['complete', wanted], 'end and response')
}

const upper = job => job.workComplete(job.payload.toString().toUpperCase())
const reverse = job => job.workComplete(job.payload.toString().split('').reverse().join(''))

function created (job) {
  return new Promise((resolve, reject) => {
    job.on('created', () => resolve(job))
    job.on('error', reject)
  })
}

async function statusOf (job) {
  const answer = new Promise(resolve => job.once('status', resolve))
  const error = job.getStatus()
  if (error) throw error
  const { known, running, percent_done_num: numerator, percent_done_den: denominator } = await answer
  return [known, running, numerator, denominator]
}

function noting (seen, count) {
  const all = promise()
  const work = job => { seen.push(job.payload.toString()); job.workComplete(); if (seen.length === count) all.resolve() }
  return { all, work }
}

async function ofPriority (priority) {
  const from = client()
  const worker = working({ [name(priority)]: upper })
  await complete(from, priority, 'first', 'FIRST', { priority })
  from.close()
  worker.close()
}

async function events (of, work) {
  const from = client()
  const worker = working({ [name(of)]: work })
  const seen = await outcome(from.submitJob(name(of), 'x'))
  from.close()
  worker.close()
  return seen
}

const cases = {
  async foreground () {
    const from = client()
    const worker = working({ [name('foreground')]: reverse })
    await complete(from, 'foreground', 'Hello', 'olleH')
    from.close()
    worker.close()
  },

  async background () {
    const from = client()
    const seen = []
    const { all, work } = noting(seen, 1)
    const worker = working({ [name('background')]: work })
    const job = await created(from.submitJob(name('background'), 'in the back', { background: true }))
    expect(job.handle.slice(0, 2), 'H:', 'handle')
    await all
    expect(seen, ['in the back'], 'workloads')
    from.close()
    worker.close()
  },

  high: () => ofPriority('HIGH'),
  low: () => ofPriority('LOW'),

  async priorities () {
    const from = client()
    for (const number of [1, 2]) {
      for (const priority of ['LOW', 'NORMAL', 'HIGH']) {
        await created(from.submitJob(name('priorities'), priority + number, { background: true, priority }))
      }
    }
    const seen = []
    const { all, work } = noting(seen, 6)
    const worker = working({ [name('priorities')]: work })
    await all
    expect(seen, ['HIGH1', 'HIGH2', 'NORMAL1', 'NORMAL2', 'LOW1', 'LOW2'], 'order')
    from.close()
    worker.close()
  },

  async 'status-running' () {
    const from = client()
    const running = promise()
    const worker = working({ [name('status-running')]: job => { job.reportStatus(1, 2); running.resolve(job) } })
    const job = await created(from.submitJob(name('status-running'), 'x', { background: true }))
    const half = await running
    // What the worker reported and the question come to the server on two connections.
    let seen
    await check.until(async () => { seen = await statusOf(job); return seen[3] !== '0' }, 'progress')
    expect(seen, [true, true, '1', '2'], 'status')
    half.workComplete()
    from.close()
    worker.close()
  },

  async 'status-known' () {
    const from = client()
    const job = await created(from.submitJob(name('status-known'), 'x', { background: true }))
    expect(await statusOf(job), [true, false, '0', '0'], 'status')
    from.close()
  },

  // The library asks for jobs that it has submitted: one is put under another handle.
  async 'status-unknown' () {
    const from = client()
    const job = await created(from.submitJob(name('status-known'), 'x', { background: true }))
    job.handle = 'H:nobody.knows:4711'
    from.jobs[job.getUid()] = job
    expect(await statusOf(job), [false, false, '0', '0'], 'status')
    from.close()
  },

  async progress () {
    const seen = await events('progress', job => { for (let step = 1; step < 4; step++) job.reportStatus(step, 3); job.workComplete() })
    const wanted = ['1', '2', '3'].map(step => ['status', { percent_done_num: step, percent_done_den: '3' }])
    expect([seen.events, seen.end], [wanted, 'complete'], 'events')
  },

  async data () {
    const parts = ['one', '\0\x01\x02'].map(part => Buffer.from(part))
    const seen = await events('data', job => { parts.forEach(part => job.sendWorkData(part)); job.workComplete('end') })
    expect([seen.events, String(seen.response)], [parts.map(part => ['workData', part]), 'end'], 'events')
  },

  async warning () {
    const seen = await events('warning', job => { job.reportWarning('careful'); job.workComplete('end') })
    expect([seen.events, String(seen.response)], [[['warning', Buffer.from('careful')]], 'end'], 'events')
  },

  async exception () {
    const from = client()
    const worker = working({ [name('exception')]: job => job.reportException('no good') })
    // Not asked for, it is a failure; asked for, it arrives as it was sent.
    expect((await outcome(from.submitJob(name('exception'), 'x'))).end, 'failed', 'end')
    const set = new Promise(resolve => from.jobServers[0].once('option', resolve))
    from.jobServers[0].setOption('exceptions')
    expect(await set, 'exceptions', 'answer to the option')
    const { end, data } = await outcome(from.submitJob(name('exception'), 'x'))
    expect([end, String(data)], ['exception', 'no good'], 'end')
    from.close()
    worker.close()
  },

  async fail () {
    expect((await events('fail', job => job.reportError())).end, 'failed', 'end')
  },

  // From two connections: the library itself keeps one job for each handle of a connection.
  async unique () {
    const from = [client(), client()]
    const jobs = from.map(one => one.submitJob(name('unique'), 'x', { unique: 'same' }))
    const outcomes = jobs.map(outcome)
    await Promise.all(jobs.map(created))
    expect(jobs[0].handle, jobs[1].handle, 'handle')
    const seen = []
    const work = job => { seen.push(job.unique); job.workComplete('once') }
    const worker = working({ [name('unique')]: work }, { withUnique: true })
    for (const { response } of await Promise.all(outcomes)) expect(String(response), 'once')
    expect(seen, ['same'], 'uniques of the runs')
    for (const one of [...from, worker]) one.close()
  },

  // workComplete makes text of its result; sendWorkData does not.
  async binary () {
    const from = client()
    const worker = working({ [name('binary')]: job => { job.sendWorkData(job.payload); job.workComplete() } })
    const seen = await outcome(from.submitJob(name('binary'), check.EVERY_BYTE))
    expect(seen.events, [['workData', check.EVERY_BYTE]], 'data')
    from.close()
    worker.close()
  },

  async empty () {
    const from = client()
    const worker = working({ [name('empty')]: job => job.workComplete(job.payload) })
    await complete(from, 'empty', '', '')
    await complete(from, 'empty', '', '', { unique: '' })
    from.close()
    worker.close()
  },

  // Text, so that the result comes back as it was sent.
  async large () {
    const from = client()
    const worker = working({ [name('large')]: job => job.workComplete(job.payload) })
    const text = check.LARGE.map(value => 32 + value % 90).toString('latin1')
    await complete(from, 'large', text, text)
    from.close()
    worker.close()
  },

  async 'dying-worker' () {
    const from = client()
    const end = outcome(from.submitJob(name('dying-worker'), 'x'))
    await check.death(check.portA)
    const worker = working({ [name('dying-worker')]: job => job.workComplete('survived') })
    expect(String((await end).response), 'survived')
    from.close()
    worker.close()
  },

  async 'several-functions' () {
    const from = client()
    const worker = working({
      [name('several-upper')]: upper,
      [name('several-reverse')]: reverse,
      [name('several-length')]: job => job.workComplete(String(job.payload.length))
    })
    await complete(from, 'several-length', 'abc', '3')
    await complete(from, 'several-upper', 'abc', 'ABC')
    await complete(from, 'several-reverse', 'abc', 'cba')
    worker.removeFunction(name('several-upper'))
    await check.untilStatus(check.portA, name('several-upper'), [0, 0, 0])
    worker.resetAbilities()
    await check.untilStatus(check.portA, name('several-reverse'), [0, 0, 0])
    from.close()
    worker.close()
  },

  // CAN_DO_TIMEOUT: the job of a worker that is too slow goes to another one.
  async timeout () {
    const from = client()
    const running = promise()
    const slow = working({ [name('timeout')]: job => running.resolve(job) }, { options: { timeout: 1000 } })
    const end = outcome(from.submitJob(name('timeout'), 'x'))
    await running
    const worker = working({ [name('timeout')]: job => job.workComplete('in time') })
    expect(String((await end).response), 'in time')
    for (const one of [from, slow, worker]) one.close()
  },

  async echo () {
    const from = client()
    const answer = new Promise(resolve => from.jobServers[0].once('echo', resolve))
    from.jobServers[0].echo('any bytes')
    expect(String(await answer), 'any bytes', 'echo')
    from.close()
  },

  admin: 'the library has no client for administrators',

  // The client connects again when it submits, once its time to recover is over; a worker registers again when it hears
  // of the loss, which is for its user to do.
  async restart () {
    const from = client([check.portA], { recoverTime: 1 })
    const functions = { [name('restart')]: upper }
    const worker = working(functions)
    const lost = [new Promise(resolve => from.once('socketDisconnect', resolve)), new Promise(resolve => worker.once('socketDisconnect', resolve))]
    await complete(from, 'restart', 'before', 'BEFORE')
    await check.please('kill A')
    await Promise.all(lost)
    await check.please('start A')
    await check.sleep(10)
    for (const of in functions) worker.addFunction(of, functions[of])
    await complete(from, 'restart', 'after', 'AFTER')
    from.close()
    worker.close()
  },

  async 'two-servers' () {
    const both = [check.portA, check.portB]
    const from = client(both, { loadBalancing: 'RoundRobin' })
    const worker = working({ [name('two-servers')]: upper }, { ports: both })
    for (let number = 0; number < 4; number++) await complete(from, 'two-servers', 'both', 'BOTH')
    const lost = [new Promise(resolve => from.once('socketDisconnect', resolve)), new Promise(resolve => worker.once('socketDisconnect', resolve))]
    await check.please('kill A')
    await Promise.all(lost)
    for (let number = 0; number < 4; number++) await complete(from, 'two-servers', 'one', 'ONE')
    await check.please('start A')
    from.close()
    worker.close()
  },

  async 'worker-id' () {
    const worker = working({ [name('worker-id')]: upper })
    worker.setWorkerId('worker-of-gearmanode')
    await check.untilStatus(check.portA, name('worker-id'), [0, 0, 1])
    worker.close()
    await check.untilStatus(check.portA, name('worker-id'), [0, 0, 0])
  },

  // Many jobs at once, many answers in one segment.
  async 'many-jobs' () {
    const from = client()
    const worker = working({ [name('many')]: job => job.workComplete(job.payload) })
    const numbers = Array.from({ length: 30 }, (_, number) => String(number))
    await Promise.all(numbers.map(number => complete(from, 'many', number, number)))
    from.close()
    worker.close()
  }
}

if (process.argv[2] === 'dying') {
  working({ [name('dying-worker')]: () => process.exit(1) })
} else {
  check.version('gearmanode')
  check.run(cases)
}
