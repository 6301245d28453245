import type { Step } from '../../capture/mod.ts'
import type { Reference } from '../../core/mod.ts'
import { type BuildContext, commandStep, imageSeed, shellScript, treeInput } from '../build-context.ts'

/**
 * The root tree as a file system with its dm-verity tree: outputs `root.erofs`, `root.verity` and `root.hash`, the
 * root hash as 64 hex digits. No salt and derived ids, so that one tree has one hash wherever it is used.
 */
export function rootImageStep(context: BuildContext, tools: Reference, root: Reference): Step {
  const uuid = imageSeed(root, 'erofs')
  const script = `
mkfs.erofs --quiet -zlz4hc,level=9 -C65536 -T "$SOURCE_DATE_EPOCH" -U "$1" /work/out/root.erofs /work/in/root
veritysetup format --salt=- --uuid="$2" --data-block-size=4096 --hash-block-size=4096 --hash=sha256 \\
  /work/out/root.erofs /work/out/root.verity > /work/verity.txt
chmod 644 /work/out/root.verity
sed -n 's/^Root hash:[[:space:]]*//p' /work/verity.txt | tr -d '\\n' > /work/out/root.hash
test "$(wc -c < /work/out/root.hash)" = 64
`
  return commandStep(context, {
    name: 'root image: erofs with dm-verity',
    argv: shellScript(script, uuid, imageSeed(root, 'verity')),
    root: tools,
    inputs: [treeInput('root', root)],
  })
}
