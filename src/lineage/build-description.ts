/** The operation whose receipt is where a history starts: its output says what an image was built from. */
export const DESCRIBE_BUILD = 'op:describe-build'
