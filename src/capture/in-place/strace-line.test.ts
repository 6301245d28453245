import assert from 'node:assert/strict'
import { test } from 'node:test'
import { descriptorPath, hasFlag, isDeletedDescriptor, parseStraceLine, quotedText } from './strace-line.ts'
import { joinStraceLines } from './strace-lines.ts'

function callOf(line: string) {
  const parsed = parseStraceLine(line)
  assert.equal(parsed?.kind, 'call')
  return parsed!.kind === 'call' ? parsed!.call : undefined!
}

test('a call is cut at the commas between its arguments, whatever the arguments hold', () => {
  const call = callOf('7  openat(AT_FDCWD</a, b (c)>, "x, \\"y\\" )", O_RDONLY|O_CLOEXEC) = 3</a, b (c)/x>')
  assert.equal(call.name, 'openat')
  assert.deepEqual(call.args, ['AT_FDCWD</a, b (c)>', '"x, \\"y\\" )"', 'O_RDONLY|O_CLOEXEC'])
  assert.equal(quotedText(call.args[1]), 'x, "y" )')
  assert.equal(descriptorPath(call.args[0]), '/a, b (c)')
  assert.equal(descriptorPath(call.result), '/a, b (c)/x')
  assert.ok(hasFlag(call.args[2], 'O_CLOEXEC') && !hasFlag(call.args[2], 'O_CLO'))
})

test('braces and brackets keep their commas', () => {
  const call = callOf('7 openat2(3</a>, "b", {flags=O_RDONLY, resolve=RESOLVE_BENEATH}, 24) = 4</a/b>')
  assert.equal(call.args.length, 4)
  const exec = callOf('7 execve("/bin/sh", ["sh", "-c", "a, b"...], 0x7ffd /* 3 vars */) = 0')
  assert.equal(exec.args.length, 3)
})

test('escaped bytes come back as the bytes they were', () => {
  assert.equal(quotedText('"a\\nb\\377\\t\\"\\\\\\x41"'), 'a\nb\xff\t"\\A')
  assert.equal(descriptorPath('3</o u\\74\\76t\\n>'), '/o u<>t\n')
})

test('a descriptor of a removed file is told apart from a file of that name', () => {
  assert.ok(isDeletedDescriptor('3</tmp/#12>(deleted)'))
  assert.ok(!isDeletedDescriptor('3</tmp/x (deleted)>'))
})

test('the end of a process, a thread that takes over, and talk of strace itself are told apart', () => {
  assert.deepEqual(parseStraceLine('12 +++ exited with 3 +++'), { kind: 'end', pid: 12 })
  assert.deepEqual(parseStraceLine('12 +++ killed by SIGKILL (core dumped) +++'), { kind: 'end', pid: 12 })
  assert.deepEqual(parseStraceLine('12 +++ superseded by execve in pid 13 +++'), { kind: 'superseded', pid: 12 })
  assert.equal(parseStraceLine('strace: something is wrong'), undefined)
  assert.deepEqual(parseStraceLine('7 openat(AT_FDCWD, "x'), { kind: 'unreadable', pid: 7 })
})

test('a call that strace prints in parts is put together, in both of its forms', () => {
  const lines: string[] = []
  const push = joinStraceLines(line => lines.push(line))
  for (const line of [
    '8 chdir("/") = 0',
    '7 openat(AT_FDCWD</>, "x", O_RDONLY <unfinished ...>',
    ') = 3</x>',
    '7 mkdir("a", 0777 <unfinished ...>',
    '8 mkdir("b", 0777 <unfinished ...>',
    '7 <... mkdir resumed>) = 0',
    '8 <... mkdir resumed>) = 0',
  ]) {
    push(line)
  }
  assert.deepEqual(lines, [
    '8 chdir("/") = 0',
    '7 openat(AT_FDCWD</>, "x", O_RDONLY) = 3</x>',
    '7 mkdir("a", 0777) = 0',
    '8 mkdir("b", 0777) = 0',
  ])
})
