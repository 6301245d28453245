/**
 * A guest of a few instructions in a bootable image: it says a text on the first serial port and switches the machine
 * off. It boots as CD and as disk, under BIOS and UEFI, and proves the machine without a kernel.
 */
import { fatBytes } from './fat-builder.ts'
import { peBytes } from './pe-builder.ts'

/** What it does after it has spoken: the ACPI registers of QEMU's q35, and its reset port. */
export type TinyGuestEnd = 'power-off' | 'reset' | 'hang'

export interface TinyGuestOptions {
  readonly end?: TinyGuestEnd
  /** As a disk under BIOS it first writes to that disk. */
  readonly writesToDisk?: boolean
}

/** Assembled with GNU as; both wait for the port (0x3fd bit 5) before each character. */
const REAL_MODE = {
  // cli; cld; call next; next: pop si; add si, text - next; L: cs lodsb; test al,al; jz end; mov ah,al;
  // mov dx,0x3fd; W: in al,dx; test al,0x20; jz W; mov al,ah; mov dx,0x3f8; out dx,al; jmp L; end:
  speak: 'fafc e80000 5e 81c62700 2eac 84c0 7412 88c4 bafd03 ec a820 74fb 88e0 baf803 ee ebe8',
  ends: {
    'power-off': 'ba0406 b80020 ef f4 ebfd', // outw(0x604, 0x2000): S5
    reset: 'baf90c b80600 ee 90 f4 ebfd', // outb(0xcf9, 6)
    hang: 'f4 ebfd 90909090 9090 90',
  },
}
const LONG_MODE = {
  // cli; cld; lea rsi,[rip+0x26]; L: lodsb; test al,al; jz end; mov ah,al; … as above
  speak: 'fa fc 488d3526000000 ac 84c0 7414 88c4 66bafd03 ec a820 74fb 88e0 66baf803 ee ebe7',
  ends: {
    'power-off': '66ba0406 66b80020 66ef f4 ebfd',
    reset: '66baf90c 66b80600 ee 90 f4 ebfd',
    hang: 'f4 ebfd 90909090 90909090 9090',
  },
}

/** mov ax,0x0301; mov bx,0x7c00; mov cx,2; int 0x13: the boot sector once more, into the sector behind it. */
const WRITE_SECOND_SECTOR = Buffer.from('b80103bb007cb90200cd13', 'hex')

const SECTOR = 2048
const DISK_SECTOR = 512
const IMAGE_BYTES = 1 << 20
const FIRST = { descriptors: 16, root: 19, catalog: 20, biosImage: 21, esp: 22 } as const

/** A hybrid image of 1 MiB: SeaBIOS boots from no disk smaller than one cylinder of 16 heads and 63 sectors. */
export function tinyGuestIso(text: string, options: TinyGuestOptions = {}): Buffer {
  const { end = 'power-off', writesToDisk = false } = options
  const bios = Buffer.concat([writesToDisk ? WRITE_SECOND_SECTOR : Buffer.alloc(0), program(REAL_MODE, text, end)])
  const efi = peBytes({ code: program(LONG_MODE, text, end) })
  const esp = fatBytes([{ path: 'EFI/BOOT/BOOTX64.EFI', content: efi }])
  const sectors = FIRST.esp + esp.length / SECTOR
  const image = Buffer.alloc(IMAGE_BYTES)
  bios.copy(image)
  partition(image, 0xef, (FIRST.esp * SECTOR) / DISK_SECTOR, esp.length / DISK_SECTOR)
  descriptors(sectors).copy(image, FIRST.descriptors * SECTOR)
  Buffer.concat([folderRecord('\0'), folderRecord('\x01')]).copy(image, FIRST.root * SECTOR)
  catalog(esp.length / DISK_SECTOR).copy(image, FIRST.catalog * SECTOR)
  bios.copy(image, FIRST.biosImage * SECTOR)
  esp.copy(image, FIRST.esp * SECTOR)
  return image
}

function program(parts: typeof REAL_MODE | typeof LONG_MODE, text: string, end: TinyGuestEnd): Buffer {
  const code = Buffer.from(`${parts.speak}${parts.ends[end]}`.replaceAll(' ', ''), 'hex')
  return Buffer.concat([code, Buffer.from(`${text}\0`)])
}

function partition(image: Buffer, type: number, first: number, sectors: number): void {
  image[446] = 0x80
  image[446 + 4] = type
  image.writeUInt32LE(first, 446 + 8)
  image.writeUInt32LE(sectors, 446 + 12)
  image.writeUInt16BE(0x55aa, 510)
}

function descriptors(sectors: number): Buffer {
  const bytes = Buffer.alloc(3 * SECTOR)
  bytes.write('\x01CD001\x01')
  bytes.fill(' ', 8, 72)
  bytes.write('TINY', 40)
  both(sectors).copy(bytes, 80)
  for (const [offset, value] of [
    [120, 1],
    [124, 1],
    [128, SECTOR],
  ] as const) {
    bytes.writeUInt16LE(value, offset)
    bytes.writeUInt16BE(value, offset + 2)
  }
  folderRecord('\0').copy(bytes, 156)
  bytes[881] = 1
  bytes.write('\0CD001\x01EL TORITO SPECIFICATION', SECTOR, 'latin1')
  bytes.writeUInt32LE(FIRST.catalog, SECTOR + 0x47)
  bytes.write('\xffCD001\x01', 2 * SECTOR, 'latin1')
  return bytes
}

function folderRecord(identifier: string): Buffer {
  const bytes = Buffer.alloc(34)
  bytes[0] = 34
  both(FIRST.root).copy(bytes, 2)
  both(SECTOR).copy(bytes, 10)
  Buffer.from([125, 1, 1, 0, 0, 0, 0]).copy(bytes, 18)
  bytes[25] = 2
  bytes[28] = 1
  bytes[31] = 1
  bytes[32] = 1
  bytes.write(identifier, 33)
  return bytes
}

function catalog(espSectors: number): Buffer {
  const bytes = Buffer.alloc(SECTOR)
  Buffer.from([1, 0]).copy(bytes)
  bytes.writeUInt16BE(0x55aa, 30)
  bytes.writeUInt16LE((-0x0001 - 0xaa55) & 0xffff, 28)
  const entry = (at: number, sectors: number, block: number): void => {
    bytes[at] = 0x88
    bytes.writeUInt16LE(sectors, at + 6)
    bytes.writeUInt32LE(block, at + 8)
  }
  entry(32, 4, FIRST.biosImage)
  Buffer.from([0x91, 0xef, 1, 0]).copy(bytes, 64)
  entry(96, espSectors, FIRST.esp)
  return bytes
}

function both(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}
