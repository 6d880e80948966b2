// What the checks of the Node.js libraries share: the words spoken with the harness. Nothing here knows a library; each
// of them has its own file beside this one.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const fs = require('fs')
const net = require('net')
const path = require('path')
const readline = require('readline')
const { isDeepStrictEqual } = require('util')

// Every check reports these, in this order; what a library offers beyond them follows.
const CASES = `
  foreground background high low priorities status-running status-known status-unknown progress data warning exception
  fail unique binary empty large dying-worker several-functions timeout echo admin restart two-servers
`.trim().split(/\s+/)

// A case that hangs fails after so many milliseconds; the others are still run.
const PATIENCE = 20000

const HOST = '127.0.0.1'
const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
const LARGE = Buffer.alloc(3 * 1024 * 1024 + 251, Buffer.from(Array.from({ length: 251 }, (_, value) => value)))

class Absent extends Error {}

function say (line) {
  fs.writeSync(1, line + '\n')
}

function oneLine (text) {
  return String(text).replace(/\s+/g, ' ').slice(0, 300)
}

// Asks the harness to `kill A`, `start A` or `stop A`, and waits until it is done.
let answers
async function please (what) {
  if (!answers) answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  say('please ' + what)
  const { value } = await answers.next()
  if (value !== 'done') throw new Error(`the harness answered ${value} to 'please ${what}'`)
}

function expect (seen, wanted, what = 'result') {
  if (!isDeepStrictEqual(seen, wanted)) throw new Error(`${what} is ${brief(seen)}, not ${brief(wanted)}`)
}

function brief (value) {
  const text = Buffer.isBuffer(value) ? value.toString('latin1') : JSON.stringify(value)
  return text && text.length > 200 ? text.slice(0, 200) + '...' : text
}

// A promise with its resolve and reject to hand.
function promise () {
  let settle
  const made = new Promise((resolve, reject) => { settle = { resolve, reject } })
  return Object.assign(made, settle)
}

function sleep (milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

// Waits for something that nothing announces.
async function until (condition, what) {
  const start = Date.now()
  while (!await condition()) {
    if (Date.now() - start > PATIENCE / 2) throw new Error(`no ${what} in time`)
    await sleep(10)
  }
}

// What the server says of a function: [jobs, running, workers], or undefined. It is for what a library says to the server
// without waiting for an answer, and for libraries that have no administrator's client.
function status (port, name) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, HOST, () => socket.write('status\n'))
    let text = ''
    socket.on('error', reject)
    socket.on('data', chunk => {
      text += chunk
      if (!text.endsWith('.\n')) return
      socket.destroy()
      const line = text.split('\n').find(line => line.startsWith(name + '\t'))
      resolve(line && line.split('\t').slice(1).map(Number))
    })
  })
}

async function untilStatus (port, name, wanted) {
  await until(async () => String(await status(port, name)) === String(wanted), `status ${wanted} of ${name}`)
}

// Runs this very check as a worker that dies of its first job: `node CHECK dying PORT`. The promise is kept when it has.
function death (port) {
  return new Promise((resolve, reject) => {
    const arguments_ = [require.main.filename, 'dying', String(port)]
    const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'ignore', 'inherit'] })
    child.on('exit', code => code === 1 ? resolve() : reject(new Error(`the dying worker ended with ${code}`)))
  })
}

function version (library) {
  const folder = path.join(process.env.CLIENTS_DIR, 'node/node_modules', library)
  say(`version ${library} ${JSON.parse(fs.readFileSync(path.join(folder, 'package.json'))).version}`)
}

// Runs `cases`, named functions that return promises, or the reasons why they are absent.
async function run (cases) {
  const missing = CASES.filter(name => !(name in cases))
  assert(!missing.length, `missing: ${missing}`)
  const own = Object.keys(cases).filter(name => !CASES.includes(name))
  for (const name of CASES.concat(own)) {
    say(`case ${name} ${await verdict(cases[name])}`)
  }
  process.exit(0)
}

async function verdict (run) {
  if (typeof run === 'string') return 'absent ' + run
  let timer, escaped
  const failure = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${PATIENCE} ms`)), PATIENCE)
    // What a library throws from an event is the failure of the case that runs.
    escaped = reject
    process.on('uncaughtException', escaped)
  })
  try {
    await Promise.race([run(), failure])
    return 'ok'
  } catch (error) {
    if (error instanceof Absent) return 'absent ' + oneLine(error.message)
    console.error(error)
    return 'failed ' + oneLine(error)
  } finally {
    clearTimeout(timer)
    process.off('uncaughtException', escaped)
  }
}

module.exports = {
  Absent, EVERY_BYTE, HOST, LARGE, PATIENCE,
  death, expect, please, promise, run, sleep, status, until, untilStatus, version,
  portA: Number(process.argv[2] === 'dying' ? process.argv[3] : process.argv[2]),
  portB: Number(process.argv[3])
}
