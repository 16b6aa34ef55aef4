// The REST call about models.
import { ApiError } from './errors.js'
import { isRecord } from './json.js'
import type { ModelList } from './rest-types.js'
import { request, type RequestOptions } from './rest.js'
import { DEFAULT_BASE } from './url.js'

/** Lists the models, the default first; an agent or `options.model` selects one by its name. */
export async function listModels(base: string = DEFAULT_BASE, options?: RequestOptions): Promise<ModelList> {
  const body = await request({ method: 'GET', base, path: '/models', options })
  if (!isRecord(body) || !Array.isArray(body['models'])) {
    throw new ApiError('GET /models answered without a list of models', 200)
  }
  return body as unknown as ModelList
}
