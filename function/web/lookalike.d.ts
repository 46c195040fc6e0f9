import type {
  ErrorReason,
  Event,
  Index,
  ProductDetail,
  ProductPage,
  SearchAnswer,
  SearchRequest,
  SimilarRequest,
} from "./wire.d.ts";

export type * from "./wire.d.ts";

/** "UNREACHABLE": no answer came. "UNKNOWN": one that is not the function's, as of a proxy. */
export type Reason = ErrorReason | "UNREACHABLE" | "UNKNOWN";

/** The API said no, or there was no answer. Its message is written for people. */
export class LookalikeError extends Error {
  constructor(
    message: string,
    facts: { reason: Reason } & Partial<
      Pick<LookalikeError, "status" | "requestId" | "metadata" | "retryAfter">
    >,
  );
  readonly reason: Reason;
  /** Of HTTP; 0 where no answer came. */
  readonly status: number;
  /** Under this the function's log says more; "" where no answer came. */
  readonly requestId: string;
  /** Facts for programs, as the limit that was exceeded. */
  readonly metadata: Record<string, string>;
  /** Seconds after which the API asks to be tried again; null where it does not. */
  readonly retryAfter: number | null;
}

export type Options = {
  /** Gives the call up; it then rejects with the signal's reason. */
  signal?: AbortSignal;
};

/** The API's fields beside the photo. */
export type SearchOptions = Options & Omit<SearchRequest, "image">;

export type SimilarOptions = Options & SimilarRequest;

export type ProductsOptions = Options &
  Pick<
    SearchRequest,
    | "pageSize"
    | "pageToken"
    | "filter"
    | "productCategories"
    | "productSet"
    | "facets"
    | "fields"
  >;

/** The first page; `for await` goes through all. */
export type Paged<Page> = Promise<Page> & AsyncIterable<Page>;

export type Settings = {
  /** Sent with every request. */
  apiKey?: string;
  /** How long a call may wait for 429 and 503 to pass, in milliseconds (30,000); 0: not at all. */
  patienceMs?: number;
  /** In place of the browser's own. */
  fetch?: typeof globalThis.fetch;
};

/** Every method rejects with a LookalikeError, or with the reason of its signal. */
export class Lookalike {
  /** @param base address of the function; without it, where this module was imported from */
  constructor(base?: string, settings?: Settings);

  /** The products that look most like a photo, best first. */
  search(photo: Blob, options?: SearchOptions): Paged<SearchAnswer>;

  /** The products that look most like one of the shop's. @param id or name, "products/42" */
  similar(id: string, options?: SimilarOptions): Paged<SearchAnswer>;

  /** The shop's products, in its own order. */
  products(options?: ProductsOptions): Paged<ProductPage>;

  /** One product with its photos. @param id or name, "products/42" */
  product(id: string, options?: Options): Promise<ProductDetail>;

  /** What is indexed, with which model, and how well it does. */
  index(options?: Options): Promise<Index>;

  /** Tells what became of a result. */
  event(event: Event): Promise<void>;
}
