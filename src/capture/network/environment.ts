/** Where a step finds its recorder: fixed, so that the variables are the same on every builder. */
export const RECORDER_ADDRESS = '127.0.0.1'
export const RECORDER_PORT = 3128

/** Variables that lead programs to the recorder, for `asl.environment`. */
export function proxyEnvironment(): Readonly<Record<string, string>> {
  const proxy = `http://${RECORDER_ADDRESS}:${RECORDER_PORT}`
  const inside = 'localhost,127.0.0.1,::1'
  return {
    http_proxy: proxy,
    https_proxy: proxy,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    no_proxy: inside,
    NO_PROXY: inside,
    NODE_USE_ENV_PROXY: '1',
  }
}

/**
 * Variables that make programs trust the recorder's authority, whose certificate is mounted at `path` in the sandbox.
 * Programs on GnuTLS (apt among them) know no such variable: apt wants `Acquire::https::CAInfo`.
 */
export function caEnvironment(path: string): Readonly<Record<string, string>> {
  return {
    SSL_CERT_FILE: path,
    CURL_CA_BUNDLE: path,
    GIT_SSL_CAINFO: path,
    NODE_EXTRA_CA_CERTS: path,
    REQUESTS_CA_BUNDLE: path,
  }
}
