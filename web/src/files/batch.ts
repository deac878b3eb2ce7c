/** Does something with each of many, a few at a time; what fails does not hold up the rest. */
export async function each<T>(all: readonly T[], work: (one: T) => Promise<unknown>, atOnce = 4): Promise<{ done: T[]; failed: { one: T; err: unknown }[] }> {
  const done: T[] = []
  const failed: { one: T; err: unknown }[] = []
  let next = 0
  async function run() {
    for (let one = all[next++]; one !== undefined; one = all[next++]) {
      try {
        await work(one)
        done.push(one)
      } catch (err) {
        failed.push({ one, err })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, run))
  return { done, failed }
}
