// Compiles the samples of the documentation, word for word, against the built package, and runs them with
// Node.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { getAgent } from '../../src/index.js'
import { PACKAGE, Sidecar } from './sidecar.js'

const run = promisify(execFile)
let sidecar: Sidecar
let project: string

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'streaming-llm-samples-'))
  cpSync(join(PACKAGE, 'test/sidecar/samples'), project, { recursive: true })
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true })
  symlinkSync(PACKAGE, join(project, 'node_modules/streaming-llm-client'), 'junction')
  symlinkSync(
    join(PACKAGE, 'node_modules/@types/node'),
    join(project, 'node_modules/@types/node'),
    'junction'
  )
  await run(process.execPath, [join(PACKAGE, 'node_modules/typescript/bin/tsc'), '-p', project]).catch(
    (failure: { readonly stdout: string }) => {
      throw new Error(`The samples don't compile:\n${failure.stdout}`)
    }
  )
  sidecar = await Sidecar.start()
})

afterAll(async () => {
  await sidecar?.remove()
  rmSync(project, { recursive: true, force: true })
})

/** Runs a compiled sample against the sidecar and returns what it prints. */
async function sample(name: string): Promise<string> {
  const { stdout, stderr } = await run(
    process.execPath,
    ['--import', './to-port.mjs', join('out', `${name}.js`)],
    { cwd: project, env: { ...process.env, SIDECAR_PORT: String(sidecar.port) } }
  )
  expect(stderr).toBe('')
  return stdout
}

test('the first sample prints two answers, each followed by the line that the assistant has finished', async () => {
  const answers = (await sample('chat')).split('\nassistant finished\n')
  expect(answers).toHaveLength(3)
  expect(answers[0]).not.toBe('')
  expect(answers[1]).not.toBe('')
  expect(answers[2]).toBe('')
})

test('the second sample creates the agent', async () => {
  expect(await sample('agents')).toBe('')
  expect(await getAgent('reviewer', sidecar.base)).toMatchObject({
    id: 'reviewer',
    name: 'Reviewer',
    system_prompt: 'You are Reviewer, a precise PR reviewer.',
    markdown_context: '- Keep responses focused on regressions.\n'
  })
})

test('the quick sample runs to its end', async () => {
  expect(await sample('quick')).toBe('')
})
