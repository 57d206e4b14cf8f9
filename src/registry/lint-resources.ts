import { isObject } from '../core/json.ts';
import type { Resource } from './entries.ts';
import type { LintScene, Remark } from './lint-scene.ts';

/** Resources whose credentials are weaker than they could be. */
export const lintResource = (resource: Resource, { domains }: LintScene): readonly Remark[] => {
  const endpoint = isObject(resource.options) && Object.hasOwn(resource.options, 'endpoint') ? resource.options['endpoint'] : undefined;
  // Only access tokens can be bound; cloud keys have their own forms of proof.
  const bindable = resource.provider === 'access-token' && !resource.bound && domains.get(resource.domainId)?.stage === 'production';
  return [
    ...(typeof endpoint === 'string' ? [{ rule: 'custom-endpoint', what: endpoint, mend: 'remove endpoint outside of development' } as const] : []),
    ...(bindable ? [{ rule: 'unbound', mend: 'set bound: true once its clients send DPoP proofs' } as const] : []),
  ];
};
