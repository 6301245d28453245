/**
 * Image: from a recipe to a root tree. Debian archives and the first tools tree, made in our own process.
 *
 * No program of the build host takes part in the content of an image.
 */
export * from './debian/mod.ts'
