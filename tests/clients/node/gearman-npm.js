// The check of npm's gearman: packets as events, and no more. Its users write the worker's loop themselves, as here.
'use strict'

const check = require('./check')
const { expect, promise } = check
const gearman = require(require('path').join(process.env.CLIENTS_DIR, 'node/node_modules/gearman'))

const name = of => 'gearman-npm-' + of

// A connection, as client or worker.
async function connected (port = check.portA, options) {
  const connection = gearman(check.HOST, port, options)
  connection.on('error', error => console.error(error))
  await new Promise(resolve => connection.connect(resolve))
  return connection
}

// A worker with functions by name; each is given the job and the worker, and returns the result, or undefined if it has
// ended the job, or will.
async function working (functions, { port, grab = 'grabJob', timeouts = {} } = {}) {
  const worker = await connected(port)
  const run = job => {
    const result = functions[job.func_name](job, worker)
    if (result !== undefined) worker.sendWorkComplete(job.handle, result)
    worker.preSleep()
  }
  worker.on('JOB_ASSIGN', run)
  worker.on('JOB_ASSIGN_UNIQ', run)
  worker.on('NOOP', () => worker[grab]())
  worker.on('NO_JOB', () => worker.preSleep())
  for (const of in functions) worker.addFunction(of, timeouts[of])
  worker.preSleep()
  return worker
}

// Submits one job on a connection of its own; `events` are what comes of it until its end.
async function submitted (of, data, options = {}, { port, exceptions } = {}) {
  const client = await connected(port)
  const job = { client, events: [], created: promise(), end: promise() }
  if (exceptions) {
    const set = promise()
    client.on('OPTION_RES', set.resolve)
    client.setOption()
    expect(await set, { option_name: 'exceptions' }, 'answer to the option')
  }
  client.on('JOB_CREATED', handle => { job.handle = handle; job.created.resolve(handle) })
  for (const kind of ['WORK_STATUS', 'WORK_DATA', 'WORK_WARNING']) {
    client.on(kind, event => job.events.push([kind, event]))
  }
  for (const kind of ['WORK_COMPLETE', 'WORK_FAIL', 'WORK_EXCEPTION']) {
    client.on(kind, event => { job.events.push([kind, event]); job.end.resolve(event) })
  }
  client.submitJob(name(of), data, options)
  await job.created
  return job
}

async function done (of, data, options, more) {
  const job = await submitted(of, data, options, more)
  const end = await job.end
  expect(end.handle, job.handle, 'handle')
  job.client.close()
  return { kinds: job.events.map(([kind]) => kind), payload: end.payload, events: job.events, end }
}

async function complete (of, data, wanted, options, more) {
  const { payload, kinds } = await done(of, data, options, more)
  expect(kinds, ['WORK_COMPLETE'], 'events')
  expect(payload, Buffer.from(wanted))
}

async function thereAndBack (of, data) {
  const worker = await working({ [name(of)]: job => job.payload })
  await complete(of, data, data)
  worker.close()
}

async function ofPriority (priority) {
  const worker = await working({ [name(priority)]: job => job.payload.toString().toUpperCase() })
  await complete(priority, 'first', 'FIRST', { priority })
  worker.close()
}

// What the server answers to GET_STATUS. The library reads the last number as one byte: '2' is 50.
async function statusOf (handle) {
  const client = await connected()
  const answer = promise()
  client.on('STATUS_RES', answer.resolve)
  client.getJobStatus(handle)
  const seen = await answer
  client.close()
  expect(seen.handle, handle, 'handle')
  return [seen.known, seen.running, seen.percent_done_num, String.fromCharCode(seen.percent_done_den)]
}

async function updates (of, send, kind) {
  const worker = await working({ [name(of)]: (job, worker) => { send(job.handle, worker); return 'end' } })
  const { events, payload } = await done(of, '')
  worker.close()
  expect(payload.toString(), 'end')
  return events.filter(([seen]) => seen === kind).map(([, event]) => { delete event.handle; return event })
}

const cases = {
  async foreground () {
    const worker = await working({ [name('foreground')]: job => job.payload.toString().split('').reverse().join('') })
    await complete('foreground', 'Hello', 'olleH')
    worker.close()
  },

  async background () {
    const seen = promise()
    const worker = await working({ [name('background')]: job => { seen.resolve(job.payload.toString()); return '' } })
    const job = await submitted('background', 'in the back', { background: true })
    expect(await seen, 'in the back', 'workload')
    expect(job.handle.slice(0, 2), 'H:', 'handle')
    job.client.close()
    worker.close()
  },

  high: () => ofPriority('high'),
  low: () => ofPriority('low'),

  async priorities () {
    for (const number of [1, 2]) {
      for (const priority of ['low', 'normal', 'high']) {
        const job = await submitted('priorities', priority + number, { priority, background: true })
        job.client.close()
      }
    }
    const seen = []
    const all = promise()
    const worker = await working({
      [name('priorities')]: job => { if (seen.push(job.payload.toString()) === 6) all.resolve(); return '' }
    })
    await all
    expect(seen, ['high1', 'high2', 'normal1', 'normal2', 'low1', 'low2'], 'order')
    worker.close()
  },

  async 'status-running' () {
    let running
    const worker = await working({
      [name('status-running')]: (job, worker) => { worker.sendWorkStatus(job.handle, '1', '2'); running = job.handle }
    })
    const job = await submitted('status-running', '')
    await check.until(() => job.events.length, 'progress')
    expect(await statusOf(job.handle), ['1', '1', '1', '2'], 'status')
    worker.sendWorkComplete(running, 'whole')
    expect((await job.end).payload.toString(), 'whole')
    job.client.close()
    worker.close()
  },

  async 'status-known' () {
    const job = await submitted('status-known', '', { background: true })
    expect(await statusOf(job.handle), ['1', '0', '0', '0'], 'status')
    job.client.close()
  },

  async 'status-unknown' () {
    expect(await statusOf('H:nobody.knows:4711'), ['0', '0', '0', '0'], 'status')
  },

  async progress () {
    const send = (handle, worker) => ['1', '2', '3'].forEach(step => worker.sendWorkStatus(handle, step, '3'))
    const wanted = ['1', '2', '3'].map(step => ({ percent_num: step, percent_den: '3' }))
    expect(await updates('progress', send, 'WORK_STATUS'), wanted, 'updates')
  },

  async data () {
    const parts = [Buffer.from('one'), Buffer.from([0, 1, 2])]
    const send = (handle, worker) => parts.forEach(part => worker.sendWorkData(handle, part))
    expect(await updates('data', send, 'WORK_DATA'), parts.map(payload => ({ payload })), 'updates')
  },

  async warning () {
    const send = (handle, worker) => worker.sendWorkWarning(handle, 'careful')
    expect(await updates('warning', send, 'WORK_WARNING'), [{ warning: 'careful' }], 'updates')
  },

  async exception () {
    const worker = await working({
      [name('exception')]: (job, worker) => { worker.sendWorkException(job.handle, 'no good') }
    })
    // Not asked for, it is a failure; asked for, it arrives as it was sent.
    expect((await done('exception', '')).kinds, ['WORK_FAIL'], 'events')
    const { kinds, end } = await done('exception', '', {}, { exceptions: true })
    expect([kinds, end.exception], [['WORK_EXCEPTION'], 'no good'], 'events')
    worker.close()
  },

  async fail () {
    const worker = await working({ [name('fail')]: (job, worker) => { worker.sendWorkFail(job.handle) } })
    expect((await done('fail', '')).kinds, ['WORK_FAIL'], 'events')
    worker.close()
  },

  async unique () {
    const jobs = [await submitted('unique', '', { unique_id: 'same' }), await submitted('unique', '', { unique_id: 'same' })]
    expect(jobs[0].handle, jobs[1].handle, 'handle')
    const seen = []
    const run = job => { seen.push(job.unique_id); return 'once' }
    const worker = await working({ [name('unique')]: run }, { grab: 'grabUniqueJob' })
    for (const job of jobs) {
      expect((await job.end).payload.toString(), 'once')
      job.client.close()
    }
    expect(seen, ['same'], 'uniques of the runs')
    worker.close()
  },

  binary: () => thereAndBack('binary', check.EVERY_BYTE),
  empty: () => thereAndBack('empty', Buffer.alloc(0)),
  large: () => thereAndBack('large', check.LARGE),

  async 'dying-worker' () {
    const job = await submitted('dying-worker', '')
    await check.death(check.portA)
    const worker = await working({ [name('dying-worker')]: () => 'survived' })
    expect((await job.end).payload.toString(), 'survived')
    job.client.close()
    worker.close()
  },

  async 'several-functions' () {
    const worker = await working({
      [name('several-upper')]: job => job.payload.toString().toUpperCase(),
      [name('several-reverse')]: job => job.payload.toString().split('').reverse().join(''),
      [name('several-length')]: job => String(job.payload.length)
    })
    await complete('several-length', 'abc', '3')
    await complete('several-upper', 'abc', 'ABC')
    await complete('several-reverse', 'abc', 'cba')
    worker.removeFunction(name('several-upper'))
    await check.untilStatus(check.portA, name('several-upper'), [0, 0, 0])
    worker.resetAbilities()
    await check.untilStatus(check.portA, name('several-reverse'), [0, 0, 0])
    worker.close()
  },

  // The client's: a silent connection. The worker's the library sends as four bytes and not as digits, so it is none.
  async timeout () {
    const client = await connected(check.portA, { timeout: 100 })
    const silent = promise()
    client.on('timeout', silent.resolve)
    await silent
    client.close()
    const timeouts = { [name('timeout')]: 5 }
    const worker = await working({ [name('timeout')]: () => 'in time' }, { timeouts })
    await complete('timeout', '', 'in time')
    worker.close()
  },

  async echo () {
    const client = await connected()
    const answer = promise()
    client.on('ECHO_RES', answer.resolve)
    client.echo(Buffer.from('any\0bytes'))
    expect(await answer, Buffer.from('any\0bytes'), 'echo')
    client.close()
  },

  // The library reads each answer with one read.
  async admin () {
    const worker = await working({ [name('admin')]: () => '' })
    worker.setWorkerId('worker-of-gearman-npm')
    await complete('admin', '', '')
    const queued = await submitted('admin-queued', '', { background: true })
    const status = await new Promise(resolve => worker.adminStatus(resolve))
    expect(status[name('admin')], { total: 0, running: 0, available_workers: 1 }, 'status')
    expect(status[name('admin-queued')], { total: 1, running: 0, available_workers: 0 }, 'status')
    const workers = await new Promise(resolve => worker.adminWorkers(resolve))
    const mine = workers.filter(({ id }) => id === 'worker-of-gearman-npm')
    expect(mine.map(({ ip, functions }) => [ip, functions]), [[check.HOST, [name('admin')]]], 'workers')
    worker.close()
    await check.untilStatus(check.portA, name('admin'), [0, 0, 0])
    const answer = await new Promise(resolve => queued.client.adminDropFunction(name('admin'), resolve))
    expect(answer, null, 'answer to drop function')
    queued.client.close()
  },

  // The library connects no second time: its users make a new client and a new worker.
  async restart () {
    const lost = promise()
    const before = await working({ [name('restart')]: job => job.payload.toString().toUpperCase() })
    before.on('close', lost.resolve)
    await complete('restart', 'before', 'BEFORE')
    await check.please('kill A')
    await lost
    await check.please('start A')
    const after = await working({ [name('restart')]: job => job.payload.toString().toUpperCase() })
    await complete('restart', 'after', 'AFTER')
    after.close()
  },

  'two-servers': 'the library connects to one server',

  async 'drop-function-with-jobs' () {
    const { client } = await submitted('drop', '', { background: true })
    const answer = await new Promise(resolve => client.adminDropFunction(name('drop'), resolve))
    expect(answer, null, 'answer to drop function')
    client.close()
  }
}

if (process.argv[2] === 'dying') {
  working({ [name('dying-worker')]: () => process.exit(1) })
} else {
  check.version('gearman')
  check.run(cases)
}
