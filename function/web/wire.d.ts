/**
 * What travels between a client and the function. Made from its OpenAPI document by
 * `make types`: change that instead.
 */

export type SearchRequest = {
  image: SearchImage;
  boundingPoly?: BoundingPoly;
  /** Things to look for in the photo, for `productGroupedResults`; a product is then as near as to the photo or to the nearest of them. Each costs one more inference, and finding them another. Not with `boundingPoly`, nor `explain`. */
  maxObjects?: number;
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
  /** Say where the photos are alike; with it pageSize is 10 at most. */
  explain?: boolean;
  /** Label keys, or productCategory, whose values are counted. */
  facets?: Array<string>;
  /** Members of the answer that are wanted, as paths; the others are left out. */
  fields?: string | Array<string>;
};

export type SearchForm = {
  /** JPEG, PNG, WebP, GIF, BMP or AVIF, as a file part. */
  image: Blob;
  boundingPoly?: BoundingPoly;
  /** Things to look for in the photo, for `productGroupedResults`; a product is then as near as to the photo or to the nearest of them. Each costs one more inference, and finding them another. Not with `boundingPoly`, nor `explain`. */
  maxObjects?: number;
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
  /** Say where the photos are alike; with it pageSize is 10 at most. */
  explain?: boolean;
  /** Label keys, or productCategory, whose values are counted. */
  facets?: Array<string> | string;
  /** Members of the answer that are wanted, as paths; the others are left out. */
  fields?: string | Array<string>;
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
  /** Label keys, or productCategory, whose values are counted. */
  facets?: Array<string>;
  /** Members of the answer that are wanted, as paths; the others are left out. */
  fields?: string | Array<string>;
};

/** The part of the upright photo that is searched: its bounding rectangle. */
export type BoundingPoly = {
  vertices: Array<Vertex>;
} | {
  normalizedVertices: Array<Vertex>;
};

export type Vertex = {
  /** From the left: pixels, or a fraction; 0 where absent. */
  x?: number;
  /** From above; 0 where absent. */
  y?: number;
};

export type Event = {
  /** Of the search that found the product. */
  requestId: string;
  type: "view" | "click" | "cart" | "purchase";
  productId: string;
  /** Its place among the results, from 1. */
  position?: number | null;
};

export type AnnotateRequest = {
  /** Of Vision's AnnotateImageRequest, with the feature PRODUCT_SEARCH. What is wrong with one is told in its place. */
  requests: Array<unknown>;
  /** As Vision has it: projects/P/locations/L. */
  parent?: unknown;
  /** Vision's; they change nothing. */
  labels?: unknown;
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
  /** Where the request asks for them. */
  facets?: Array<Facet>;
  /** Whether even the best result is below the threshold that the index states. */
  noConfidentMatch?: boolean;
  /** Why there are no explanations. */
  explanationUnavailable?: string;
  /** Why no things in the photo are told apart. */
  objectsUnavailable?: string;
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
  /** Where maxObjects asks for it, on the first page: one for each thing found, the surest first; or one for the whole photo. */
  productGroupedResults?: Array<ProductGroup>;
};

export type ProductGroup = {
  boundingPoly: Polygon;
  results: Array<Result>;
};

export type Polygon = {
  normalizedVertices: Array<{
    x: number;
    y: number;
  }>;
};

export type Result = {
  product: Product;
  /** Cosine similarity of the nearest photo, -1 to 1. */
  score: number;
  /** That it is the photo's product; absent where it was not measured. */
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

/** Rows from the top left over the searched region, and over the product's photo where it is stored; each grid sums to the score. */
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
  count: number;
};

export type ProductPage = {
  products: Array<ListedProduct>;
  /** Of all pages together. */
  totalSize: number;
  /** `pageToken` of the page that follows; empty after the last. */
  nextPageToken: string;
  /** Where the request asks for them. */
  facets?: Array<Facet>;
};

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

export type AnnotateAnswer = {
  responses: Array<ImageAnswer>;
};

export type ImageAnswer = {
  productSearchResults?: GroupedResults;
  error?: ImageError;
};

export type GroupedResults = {
  /** When the release was made. */
  indexTime: string;
  results: Array<Result>;
  productGroupedResults: Array<{
    boundingPoly: Record<string, unknown>;
    results: Array<Result>;
  }>;
};

export type ImageError = {
  code: number;
  message: string;
  status: string;
  reason: ErrorReason;
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
  /** null where there are more than 100. */
  labelKeys: Array<string> | null;
  /** How well it did on products that it was not trained on. */
  evaluation: Record<string, unknown>;
  /** What matchProbability and noConfidentMatch were measured to mean. */
  calibration?: Record<string, unknown> | null;
  refusedRelease?: RefusedRelease;
};

/** The release that should be served, and cannot be: the one before serves on. Absent where the current release is served. */
export type RefusedRelease = {
  /** Empty where the root names none. */
  release: string;
  /** What is wrong with it; the function's log says more. */
  reason: "POINTER_MISSING" | "POINTER_INVALID" | "RELEASE_MISSING" | "RELEASE_DAMAGED" | "SCHEMA_UNSUPPORTED" | "GOLDEN_MISMATCH";
  /** When that was found. */
  time: string;
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
export type ErrorReason = "BAD_REQUEST" | "REQUEST_EMPTY" | "JSON_INVALID" | "FORM_INVALID" | "FIELD_UNKNOWN" | "FIELD_INVALID" | "FILTER_INVALID" | "FIELD_MASK_INVALID" | "POLYGON_INVALID" | "FEATURE_UNSUPPORTED" | "PAGE_TOKEN_INVALID" | "PAGE_TOKEN_EXPIRED" | "IMAGE_MISSING" | "IMAGE_EMPTY" | "IMAGE_UNREADABLE" | "IMAGE_TOO_MANY_PIXELS" | "IMAGE_TOO_MANY_SCANS" | "IMAGE_SOURCE_NOT_ALLOWED" | "IMAGE_SOURCE_NOT_FOUND" | "API_KEY_MISSING" | "API_KEY_INVALID" | "ORIGIN_NOT_ALLOWED" | "ROUTE_NOT_FOUND" | "PRODUCT_NOT_FOUND" | "IMAGE_NOT_FOUND" | "METHOD_NOT_ALLOWED" | "LENGTH_REQUIRED" | "PAYLOAD_TOO_LARGE" | "IMAGE_TOO_MANY_BYTES" | "IMAGE_TYPE_UNSUPPORTED" | "CONTENT_TYPE_UNSUPPORTED" | "QUEUE_FULL" | "INTERNAL" | "LOADING" | "NO_VALID_RELEASE" | "STORAGE_UNAVAILABLE" | "DATABASE_UNAVAILABLE" | "NOT_IN_STORAGE" | "DEADLINE_EXCEEDED";
