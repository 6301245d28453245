import { AslError } from '../core/mod.ts'
import { openFileSource } from '../sys/mod.ts'

/** How the image is attached: an optical drive, a stick, or a built-in disk. */
export type BootMedium = 'cdrom' | 'usb' | 'disk'

const QCOW2_MAGIC = 0x514649fb
const ISO_IDENTIFIER_OFFSET = 16 * 2048 + 1

/**
 * The format of a disk image by its first bytes. QEMU is always told: left to guess, it would follow a qcow2 header
 * that a guest has written into its raw disk.
 */
export function diskFormatOf(path: string): 'raw' | 'qcow2' {
  return read(path, 0, 4).equals(magic()) ? 'qcow2' : 'raw'
}

/** An ISO goes into the optical drive, everything else is a disk. */
export function detectMedium(path: string): BootMedium {
  return read(path, ISO_IDENTIFIER_OFFSET, 5).toString('latin1') === 'CD001' ? 'cdrom' : 'disk'
}

function magic(): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(QCOW2_MAGIC)
  return bytes
}

function read(path: string, offset: number, sizeBytes: number): Buffer {
  const source = openFileSource(path)
  try {
    if (source.sizeBytes === 0) throw new AslError('FORMAT_INVALID', `Cannot boot ${path}: it is empty`)
    if (source.sizeBytes < offset + sizeBytes) return Buffer.alloc(0)
    return source.read(offset, sizeBytes)
  } finally {
    source.close()
  }
}
