/** Scripts come from the build only; the policy of the page lets nothing else in. */
interface Policy {
  createScriptURL: (url: string) => string
}
interface Factory {
  createPolicy: (name: string, rules: Policy) => Policy
}

const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes

const policy = factory?.createPolicy('opencloud', {
  createScriptURL(url) {
    const absolute = new URL(url, import.meta.url)
    if (absolute.origin !== location.origin) throw new Error('not ours')
    return absolute.href
  },
})

export function scriptURL(url: string): string {
  return policy ? policy.createScriptURL(url) : url
}
