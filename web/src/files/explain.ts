import { Problem } from '../client/http.ts'
import { t } from '../ui/words.ts'

/** A sentence for people about what went wrong. */
export function explain(err: unknown): string {
  if (!(err instanceof Problem)) return t('Something went wrong.')
  switch (err.status) {
    case 0:
      return t('The server cannot be reached.')
    case 403:
      return t('You may not do this.')
    case 404:
      return t('It is not there any more.')
    case 405:
    case 412:
      return t('The name is already taken.')
    case 423:
      return t('Somebody is working on it: it is locked.')
    case 507:
      return t('There is no space left.')
  }
  return err.sentence || t('Something went wrong.')
}
