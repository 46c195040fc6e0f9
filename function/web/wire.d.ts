/**
 * What travels between a client and the function. Made from its OpenAPI document by
 * `make types`: change that instead.
 */

export type SearchRequest = {
  image: SearchImage;
  /** The part of the photo to search: its bounding rectangle. */
  boundingPoly?: Polygon;
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
  /** Say where in the photos each score lies; with a pageSize of 10 at most. */
  explain?: boolean;
  /** Keys of labels, or productCategory, whose values are counted: of those of each key the 100 with the most products. Counted are all products that may be returned; with a scoreThreshold, those of the first 500 that reach it. */
  facets?: Array<string>;
  /** The members of the answer that are wanted, as paths with dots between names and commas between paths; without it, all. */
  fields?: string | Array<string>;
};

export type SearchForm = {
  /** JPEG, PNG, WebP, GIF, BMP or AVIF, as a file part. */
  image: Blob;
  /** The part of the photo to search: its bounding rectangle. */
  boundingPoly?: Polygon;
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
  /** Say where in the photos each score lies; with a pageSize of 10 at most. */
  explain?: boolean;
  /** Keys of labels, or productCategory, whose values are counted: of those of each key the 100 with the most products. Counted are all products that may be returned; with a scoreThreshold, those of the first 500 that reach it. */
  facets?: Array<string> | string;
  /** The members of the answer that are wanted, as paths with dots between names and commas between paths; without it, all. */
  fields?: string | Array<string>;
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

export type SimilarRequest = {
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
  /** Keys of labels, or productCategory, whose values are counted: of those of each key the 100 with the most products. Counted are all products that may be returned; with a scoreThreshold, those of the first 500 that reach it. */
  facets?: Array<string>;
  /** The members of the answer that are wanted, as paths with dots between names and commas between paths; without it, all. */
  fields?: string | Array<string>;
};

/** Its corners, from the upper left of the upright photo; what reaches beyond is cut off. */
export type Polygon = {
  normalizedVertices: Array<Vertex>;
} | {
  vertices: Array<Vertex>;
};

/** Pixels, or fractions of the photo's sides; what is absent is 0. */
export type Vertex = {
  x?: number;
  y?: number;
};

export type EventRequest = {
  requestId: string;
  type: "view" | "click" | "cart" | "purchase";
  productId: string;
  /** Its place among the results, from 1. */
  position?: number | null;
};

export type AnnotateRequest = {
  requests: Array<AnnotateImageRequest | unknown>;
  /** projects/P/locations/L, under which products are named. */
  parent?: unknown;
  /** Not read. */
  labels?: unknown;
};

export type AnnotateImageRequest = {
  image: {
    content?: string;
    source?: {
      imageUri: string;
    };
  };
  features: Array<{
    type: "PRODUCT_SEARCH" | 12;
    maxResults?: number;
  }>;
  imageContext?: {
    productSearchParams?: {
      productSet?: string;
      productCategories?: Array<string>;
      filter?: string;
      boundingPoly?: Polygon;
    };
  };
};

export type SearchAnswer = {
  productSearchResults: ProductSearchResults;
  /** Where facets are asked for. */
  facets?: Array<Facet>;
  /** `pageToken` of the page that follows; empty after the last. */
  nextPageToken: string;
  /** Whether the best result of all pages is below the score that few photos of other products reach; where the release is calibrated. */
  noConfidentMatch?: boolean;
  /** Why results that were to be are not. */
  explanationUnavailable?: string;
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
  /** That it is the photo's product; where the release is calibrated. */
  matchProbability?: number;
  /** products/{id}/referenceImages/{image}. */
  image: string;
  /** Address of the photo; empty where it is not stored. */
  imageUrl: string;
  /** Address of its smaller copy, or of the photo itself. */
  thumbnailUrl: string;
  explanation?: Explanation;
  /** Where imagesPerProduct asks for several: all, nearest first. */
  images?: Array<Photo>;
};

/** Grids from the top left, each of which sums to the score: of the region that was searched, and of the product's photo, where that is stored. */
export type Explanation = {
  photo: Array<Array<number>>;
  product?: Array<Array<number>>;
};

export type Facet = {
  key: string;
  values: Array<FacetValue>;
};

export type FacetValue = {
  value: string;
  /** Of products. */
  count: number;
};

export type ProductList = {
  products: Array<ListedProduct>;
  /** Products on all pages. */
  totalSize: number;
  /** `pageToken` of the page that follows; empty after the last. */
  nextPageToken: string;
  /** Where facets are asked for. */
  facets?: Array<Facet>;
};

/** With its first photo. */
export type ListedProduct = {
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
  /** products/{id}/referenceImages/{image}. */
  image: string;
  /** Address of the photo; empty where it is not stored. */
  imageUrl: string;
  /** Address of its smaller copy, or of the photo itself. */
  thumbnailUrl: string;
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
  /** What scores were measured to mean; null where nothing was. */
  calibration: Record<string, unknown> | null;
};

export type AnnotateAnswer = {
  responses: Array<AnnotateImageAnswer>;
};

/** One of the two. */
export type AnnotateImageAnswer = {
  productSearchResults?: GroupedResults;
  error?: AnnotateError;
};

export type GroupedResults = {
  /** When the release was made. */
  indexTime: string;
  results: Array<Result>;
  productGroupedResults: Array<{
    boundingPoly: Polygon;
    results: Array<Result>;
  }>;
};

export type AnnotateError = {
  code: number;
  message: string;
  status: string;
  reason: string;
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
  status: "DEADLINE_EXCEEDED" | "INTERNAL" | "INVALID_ARGUMENT" | "NOT_FOUND" | "PERMISSION_DENIED" | "RESOURCE_EXHAUSTED" | "UNAUTHENTICATED" | "UNAVAILABLE" | "UNIMPLEMENTED";
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
export type ErrorReason = "BAD_REQUEST" | "REQUEST_EMPTY" | "JSON_INVALID" | "FIELD_UNKNOWN" | "FIELD_INVALID" | "FIELD_MASK_INVALID" | "POLYGON_INVALID" | "FEATURE_UNSUPPORTED" | "FILTER_INVALID" | "PAGE_TOKEN_INVALID" | "PAGE_TOKEN_EXPIRED" | "IMAGE_MISSING" | "IMAGE_EMPTY" | "IMAGE_UNREADABLE" | "IMAGE_TOO_MANY_PIXELS" | "IMAGE_TOO_MANY_SCANS" | "IMAGE_SOURCE_NOT_ALLOWED" | "IMAGE_SOURCE_NOT_FOUND" | "API_KEY_MISSING" | "API_KEY_INVALID" | "ORIGIN_NOT_ALLOWED" | "ROUTE_NOT_FOUND" | "PRODUCT_NOT_FOUND" | "IMAGE_NOT_FOUND" | "METHOD_NOT_ALLOWED" | "LENGTH_REQUIRED" | "PAYLOAD_TOO_LARGE" | "IMAGE_TOO_MANY_BYTES" | "IMAGE_TYPE_UNSUPPORTED" | "CONTENT_TYPE_UNSUPPORTED" | "QUEUE_FULL" | "INTERNAL" | "LOADING" | "NO_VALID_RELEASE" | "STORAGE_UNAVAILABLE" | "NOT_IN_STORAGE" | "DEADLINE_EXCEEDED";
