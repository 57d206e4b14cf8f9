/** The part of autocannon that cannon.ts uses; the package has no types of its own. */
declare module 'autocannon' {
  export interface Request { readonly method?: string; readonly path?: string; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  export interface Options {
    readonly url: string;
    readonly connections: number;
    readonly duration: number;
    readonly timeout: number;
    readonly requests: readonly (Request & { readonly setupRequest: (request: Request) => Request; readonly onResponse: (status: number, body: string) => void })[];
  }
  export interface Result { readonly errors: number; readonly duration: number; readonly latency: { readonly p50: number; readonly p90: number; readonly p99: number } }
  export default function autocannon(options: Options): Promise<Result>;
}
