/**
 * Sys: the only door to the machine. Runs programs, writes files so that a crash cannot tear them, finds tools,
 * tells the time. No other room starts a process; a test sees to it.
 */
export * from './clock.ts'
export * from './file-source.ts'
export * from './files.ts'
export * from './machine.ts'
export * from './posix.ts'
export * from './namespace-listener.ts'
export * from './run.ts'
export * from './tools.ts'
export * from './usage.ts'
