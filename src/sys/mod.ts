/**
 * Sys: the only door to the machine. Runs programs, writes files so that a crash cannot tear them, finds tools,
 * tells the time. No other room starts a process; a test sees to it.
 */
export * from './clock.ts'
export * from './distribution.ts'
export * from './fanotify.ts'
export * from './file-facts.ts'
export * from './file-source.ts'
export * from './files.ts'
export * from './host-tool-state.ts'
export * from './host-tools.ts'
export * from './libc.ts'
export * from './machine.ts'
export * from './namespace-listener.ts'
export * from './posix.ts'
export type * from './probes/finding.ts'
export { probeHost } from './probes/probe-host.ts'
export * from './progress.ts'
export * from './run.ts'
export * from './tools.ts'
export * from './usage.ts'
export * from './wait-for-events.ts'
