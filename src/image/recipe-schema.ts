import Type, { type Static } from 'typebox'

/** A recipe: one file per image. The published JSON schema is this table; see docs/spec/recipe.md. */
export const RECIPE_SCHEMA_VERSION = 1

const packageName = Type.String({ pattern: '^[a-z0-9][a-z0-9+.-]+$', description: 'a Debian package name' })
const imagePath = Type.String({ pattern: '^/', description: 'an absolute path inside the image' })

const Debian = Type.Object(
  {
    suite: Type.String({
      pattern: '^[a-z][a-z0-9-]*$',
      description: 'the main suite; its date is the clock of the image',
    }),
    further_suites: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z][a-z0-9-]*$' }), {
        description: 'suites of updates, such as trixie-security',
      }),
    ),
    components: Type.Optional(Type.Array(Type.String({ pattern: '^[a-z][a-z0-9-]*$' }), { minItems: 1 })),
    mirror: Type.Optional(
      Type.String({
        pattern: '^https?://',
        description: 'base URL of the archive; without it $ASL_DEBIAN_MIRROR or the configuration of this host',
      }),
    ),
    keyring: Type.String({ description: 'OpenPGP keys that sign the archive; a path in the project' }),
    packages: Type.Array(packageName, { minItems: 1, description: 'what is installed beside the essential packages' }),
    exclude_paths: Type.Optional(
      Type.Array(imagePath, { description: 'dpkg path-exclude patterns: what is not unpacked' }),
    ),
    include_paths: Type.Optional(Type.Array(imagePath, { description: 'exceptions from exclude_paths' })),
  },
  { additionalProperties: false },
)

const RecipeStep = Type.Object(
  {
    name: Type.String({ minLength: 1, description: 'shown in the plan; unique in the recipe' }),
    run: Type.Array(Type.String(), {
      minItems: 1,
      description: 'argument vector, run inside the image as root, without network',
    }),
  },
  { additionalProperties: false },
)

export const RECIPE_SCHEMA = Type.Object(
  {
    schema: Type.Literal(RECIPE_SCHEMA_VERSION),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    description: Type.Optional(Type.String()),
    version: Type.Optional(
      Type.String({ pattern: '^[0-9][0-9A-Za-z.~-]*$', description: 'IMAGE_VERSION in os-release' }),
    ),
    architectures: Type.Array(Type.Enum(['amd64', 'arm64']), { minItems: 1 }),
    source_date_epoch: Type.Optional(
      Type.Integer({ minimum: 315532800, description: 'seconds since 1970; default: the date of the main suite' }),
    ),
    debian: Debian,
    hostname: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' })),
    overlay: Type.Optional(
      Type.String({
        description: 'a folder in the project whose files are copied verbatim: the path there is the path in the image',
      }),
    ),
    programs: Type.Optional(
      Type.Boolean({ description: 'put asl with its pinned Node under /usr/lib/asl (default true)' }),
    ),
    steps: Type.Optional(Type.Array(RecipeStep)),
    kernel: Type.Optional(
      Type.Object(
        {
          command_line: Type.Optional(
            Type.Array(Type.String({ pattern: '^[^\\s]+$' }), { description: 'one word an entry' }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    history: Type.Optional(
      Type.Enum(['full', 'lineage'], {
        description: 'full: all that a rebuild needs; lineage: receipts, manifests and trees',
      }),
    ),
    variants: Type.Array(Type.Enum(['iso']), { minItems: 1 }),
  },
  { additionalProperties: false, title: 'asl recipe' },
)

export type Recipe = Static<typeof RECIPE_SCHEMA>
