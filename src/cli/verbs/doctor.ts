import { accessSync, constants, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { AslError } from '../../core/mod.ts'
import {
  type Distribution,
  type HostFinding,
  type HostToolState,
  hostDistribution,
  hostToolsFor,
  installLine,
  type ProbePlace,
  probeHostTool,
  TOOL_USES,
  type ToolUse,
  thisMachine,
} from '../../sys/mod.ts'
import { tableLines } from '../table.ts'
import { JSON_OPTION, STORE_OPTION, type Verb } from '../verb.ts'

const MACHINE_MISSING = 10

export const verb: Verb = {
  name: 'doctor',
  group: 'Host',
  summary: 'tell what this host offers, what is missing, and how to get it',
  description:
    'Tries each thing rather than believing a version number. Without --for it shows everything and asks only that ' +
    'images can be built. The exit status is 0 when all that is asked for is there, else 10.',
  options: [
    {
      flags: '--for USE',
      summary: 'look only at what this needs; may be given again',
      isRepeatable: true,
      choices: TOOL_USES,
    },
    { flags: '--missing-packages', summary: 'print only the packages to install, one a line' },
    { flags: '--install-line', summary: 'print only the line that installs them' },
    STORE_OPTION,
    JSON_OPTION,
  ],
  async run(context, input) {
    const given = input.texts('for') as readonly ToolUse[]
    const uid = process.getuid?.() ?? 0
    const userName = thisMachine().user
    const wanted = wantedUses(given, uid)
    const distribution = hostDistribution()
    if (input.flag('missing-packages') || input.flag('install-line')) {
      const packages = packagesOf(await probeTools(wanted), distribution)
      const lines = input.flag('missing-packages')
        ? packages
        : packages.length === 0
          ? []
          : [lineFor(packages, distribution)]
      for (const line of lines) context.print(line)
      return 0
    }
    const shown = given.length === 0 ? TOOL_USES : wanted
    const tools = await probeTools(shown)
    // Loaded late: make setup asks for packages alone, and must be quick.
    const [{ storePathOf }, { hostFindings }] = await Promise.all([
      import('../store-path.ts'),
      import('../findings/all.ts'),
    ])
    const findings = await hostFindings(context, placeOf(existingFolder(storePathOf(context, input)), uid, userName))
    const diagnosis: Diagnosis = { distribution, userName, wanted, findings, tools }
    if (input.flag('json')) context.print(JSON.stringify(viewOf(diagnosis)))
    else for (const line of linesOf(diagnosis)) context.print(line)
    return isReady(diagnosis) ? 0 : MACHINE_MISSING
  },
}

interface Diagnosis {
  readonly distribution: Distribution
  readonly userName: string
  /** What must work for the exit status 0. */
  readonly wanted: readonly ToolUse[]
  readonly findings: readonly HostFinding[]
  readonly tools: readonly HostToolState[]
}

function probeTools(uses: readonly ToolUse[]): Promise<readonly HostToolState[]> {
  return Promise.all(hostToolsFor(uses).map(probeHostTool))
}

/** Only root can build without what an ordinary user needs in its place. */
function wantedUses(given: readonly ToolUse[], uid: number): readonly ToolUse[] {
  const wanted: readonly ToolUse[] = given.length === 0 ? ['build'] : given
  return uid === 0 || !wanted.includes('build') || wanted.includes('user-mode') ? wanted : [...wanted, 'user-mode']
}

function placeOf(folder: string, uid: number, userName: string): ProbePlace {
  try {
    accessSync(folder, constants.W_OK)
    return { uid, userName, storeFolder: folder, folder }
  } catch {
    return { uid, userName, storeFolder: folder, folder: tmpdir() } // the disk's finding tells the reason
  }
}

/** The nearest folder that exists at or above a path. */
function existingFolder(path: string): string {
  return existsSync(path) ? path : existingFolder(dirname(path))
}

function isReady({ wanted, findings, tools }: Diagnosis): boolean {
  const isWanted = (uses: readonly ToolUse[]): boolean => uses.some(use => wanted.includes(use))
  return (
    findings.every(({ state, neededFor }) => state !== 'missing' || !isWanted(neededFor)) &&
    tools.every(({ state, tool }) => state === 'ok' || !isWanted(tool.neededFor))
  )
}

function packagesOf(tools: readonly HostToolState[], { family }: Distribution): readonly string[] {
  const names = tools
    .filter(({ state }) => state !== 'ok')
    .map(({ tool }) => tool.packages[family === 'fedora' ? 'fedora' : 'debian'])
  return [...new Set(names)].sort()
}

function lineFor(packages: readonly string[], { family, prettyName }: Distribution): string {
  const line = installLine(family, packages)
  if (line !== undefined) return line
  throw new AslError('HOST_UNSUPPORTED', `asl does not know how ${prettyName} installs packages`, {
    hint: `Install what Debian calls: ${packages.join(' ')}`,
  })
}

function linesOf(diagnosis: Diagnosis): readonly string[] {
  const { distribution, userName, findings, tools, wanted } = diagnosis
  const toolRows = tools.map(({ tool, state, version, problem }) => [
    state === 'ok' ? 'ok' : 'missing',
    tool.name,
    version ?? (state === 'ok' ? '' : (problem ?? state)),
    `${tool.neededFor.join(', ')}: ${tool.why}`,
  ])
  const remedies = findings.flatMap(({ name, remedy }) => (remedy === undefined ? [] : [[`${name}:`, remedy]]))
  const packages = packagesOf(tools, distribution)
  const line = installLine(distribution.family, packages) ?? `install what Debian calls: ${packages.join(' ')}`
  return [
    `${distribution.prettyName}, ${process.arch}, as ${userName}`,
    '',
    ...tableLines(
      findings.map(({ state, name, found }) => [state, name, found]),
      { indent: 2 },
    ),
    '',
    ...tableLines(toolRows, { indent: 2 }),
    '',
    isReady(diagnosis) ? `Ready to ${wanted.join(', ')}.` : `Not ready to ${wanted.join(', ')}.`,
    ...(packages.length === 0
      ? []
      : ['', 'The missing programs:', `  ${distribution.family === 'other' ? '' : 'sudo '}${line}`]),
    ...(remedies.length === 0 ? [] : ['', 'Remedies:', ...tableLines(remedies, { indent: 2 })]),
  ]
}

function viewOf(diagnosis: Diagnosis): Record<string, unknown> {
  const { distribution, userName, wanted, findings, tools } = diagnosis
  const packages = packagesOf(tools, distribution)
  return {
    isReady: isReady(diagnosis),
    wanted,
    host: { ...distribution, arch: process.arch, userName },
    findings,
    tools: tools.map(({ tool, ...state }) => ({
      name: tool.name,
      ...state,
      minimum: tool.minimum,
      neededFor: tool.neededFor,
      why: tool.why,
      package: tool.packages[distribution.family === 'fedora' ? 'fedora' : 'debian'],
    })),
    missingPackages: packages,
    installLine: packages.length === 0 ? undefined : installLine(distribution.family, packages),
  }
}
