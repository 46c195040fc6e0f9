/**
 * What travels between a client and the function. Made from its OpenAPI document by
 * `make types`: change that instead.
 */

export type SearchRequest = {
  image: SearchImage;
  /** Products to return. */
  pageSize?: number;
  /** `nextPageToken` of the answer before, with the same photo and fields. Pages end after 500 products. */
  pageToken?: string;
  /** The lowest `score` to return. */
  scoreThreshold?: number;
  /** Photos of each product to return, best first. */
  imagesPerProduct?: number;
  /** On labels, in Vision Product Search's language, with NOT and nesting. */
  filter?: string;
  /** The product's category is one of these. */
  productCategories?: Array<string>;
  /** The product belongs to this set. */
  productSet?: string;
  /** Products to leave out. */
  excludeProductIds?: Array<string>;
  /** Of products that are found by the same picture, return the first alone. */
  collapseDuplicates?: boolean;
};

export type SearchForm = {
  /** JPEG, PNG, WebP, GIF, BMP or AVIF, as a file part. */
  image: Blob;
  /** Products to return. */
  pageSize?: number;
  /** `nextPageToken` of the answer before, with the same photo and fields. Pages end after 500 products. */
  pageToken?: string;
  /** The lowest `score` to return. */
  scoreThreshold?: number;
  /** Photos of each product to return, best first. */
  imagesPerProduct?: number;
  /** On labels, in Vision Product Search's language, with NOT and nesting. */
  filter?: string;
  /** The product's category is one of these. */
  productCategories?: Array<string> | string;
  /** The product belongs to this set. */
  productSet?: string;
  /** Products to leave out. */
  excludeProductIds?: Array<string> | string;
  /** Of products that are found by the same picture, return the first alone. */
  collapseDuplicates?: boolean;
};

/** A photo: its bytes, or where they lie. */
export type SearchImage = {
  /** JPEG, PNG, WebP, GIF, BMP or AVIF. */
  content: string;
} | {
  source: ImageSource;
};

export type ImageSource = {
  /** gs://bucket/object, in a bucket that the function may read. */
  imageUri: string;
};

export type SearchAnswer = {
  productSearchResults: ProductSearchResults;
  /** `pageToken` of the page that follows; empty after the last. */
  nextPageToken: string;
  /** Which network made the vectors. */
  modelVersion: string;
  /** Which index was searched. Page tokens are bound to it. */
  indexVersion: string;
  /** The same as the header X-Request-Id. */
  requestId: string;
  /** Milliseconds by stage. */
  timingsMs: Record<string, number>;
  /** Whether the request waited for the release to load. */
  coldStart: boolean;
};

export type ProductSearchResults = {
  /** When the release was made. */
  indexTime: string;
  /** One for each product, best first. */
  results: Array<Result>;
};

export type Result = {
  product: Product;
  /** Cosine similarity of the nearest photo, -1 to 1. */
  score: number;
  /** products/{id}/referenceImages/{image}. */
  image: string;
  /** Address of the photo; empty where it is not stored. */
  imageUrl: string;
  /** Address of its smaller copy, or of the photo itself. */
  thumbnailUrl: string;
  /** Where imagesPerProduct asks for several: all, nearest first. */
  images?: Array<Photo>;
};

export type Product = {
  /** products/{id}. */
  name: string;
  /** For people; may be empty. */
  displayName: string;
  /** May be empty. */
  productCategory: string;
  /** What a filter compares; a key may repeat. */
  productLabels: Array<Label>;
  /** As the shop writes it, with its currency; may be empty. */
  price: string;
};

export type ProductDetail = {
  /** products/{id}. */
  name: string;
  /** For people; may be empty. */
  displayName: string;
  /** May be empty. */
  productCategory: string;
  /** What a filter compares; a key may repeat. */
  productLabels: Array<Label>;
  /** As the shop writes it, with its currency; may be empty. */
  price: string;
  images: Array<Photo>;
};

export type Photo = {
  /** products/{id}/referenceImages/{image}. */
  image: string;
  /** Address of the photo; empty where it is not stored. */
  imageUrl: string;
  /** Address of its smaller copy, or of the photo itself. */
  thumbnailUrl: string;
};

export type Label = {
  key: string;
  value: string;
};

export type Index = {
  release: string;
  /** When the release was made. */
  indexTime: string;
  /** Which network made the vectors. */
  modelVersion: string;
  /** Which index was searched. Page tokens are bound to it. */
  indexVersion: string;
  model: {
    architecture: string;
    embeddingDim: number;
    imageSize: number;
  };
  index: {
    kind: string;
    /** Beside exact search, measured. */
    recallAt10: number;
  };
  counts: {
    products: number;
    images: number;
  };
  /** null where there are more than 100. */
  productCategories: Array<string> | null;
  /** null where there are more than 100. */
  productSets: Array<string> | null;
  /** How well it did on products that it was not trained on. */
  evaluation: Record<string, unknown>;
};

export type Health = {
  status: "live" | "ready";
};

export type ErrorAnswer = {
  error: ErrorStatus;
};

export type ErrorStatus = {
  /** The HTTP status. */
  code: number;
  /** The canonical code. */
  status: "DEADLINE_EXCEEDED" | "INTERNAL" | "INVALID_ARGUMENT" | "NOT_FOUND" | "RESOURCE_EXHAUSTED" | "UNAVAILABLE" | "UNIMPLEMENTED";
  /** For people: expected, found, what to do. */
  message: string;
  details: Array<ErrorInfo>;
};

export type ErrorInfo = {
  "@type": "type.googleapis.com/google.rpc.ErrorInfo";
  reason: ErrorReason;
  domain: "lookalike";
  /** Facts for programs, as the limit that was exceeded. */
  metadata: Record<string, string>;
};

/** Stable, for programs. */
export type ErrorReason = "BAD_REQUEST" | "REQUEST_EMPTY" | "JSON_INVALID" | "FIELD_UNKNOWN" | "FIELD_INVALID" | "FILTER_INVALID" | "PAGE_TOKEN_INVALID" | "PAGE_TOKEN_EXPIRED" | "IMAGE_MISSING" | "IMAGE_EMPTY" | "IMAGE_UNREADABLE" | "IMAGE_TOO_MANY_PIXELS" | "IMAGE_TOO_MANY_SCANS" | "IMAGE_SOURCE_NOT_ALLOWED" | "IMAGE_SOURCE_NOT_FOUND" | "ROUTE_NOT_FOUND" | "PRODUCT_NOT_FOUND" | "IMAGE_NOT_FOUND" | "METHOD_NOT_ALLOWED" | "LENGTH_REQUIRED" | "PAYLOAD_TOO_LARGE" | "IMAGE_TOO_MANY_BYTES" | "IMAGE_TYPE_UNSUPPORTED" | "CONTENT_TYPE_UNSUPPORTED" | "QUEUE_FULL" | "INTERNAL" | "LOADING" | "NO_VALID_RELEASE" | "STORAGE_UNAVAILABLE" | "NOT_IN_STORAGE" | "DEADLINE_EXCEEDED";
