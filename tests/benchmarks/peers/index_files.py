"""Write the indices that the peers' servers read.

    python index_files.py ROWS.npy FOLDER

FOLDER gets `flat.faiss`, exact inner products, and `hnsw.bin`, hnswlib's at its usual setting.
"""

import json
import sys
from pathlib import Path

import faiss
import hnswlib
import numpy as np

LINKS, EF_CONSTRUCTION = 16, 200


def main() -> None:
    rows = np.load(sys.argv[1]).astype(np.float32)
    folder = Path(sys.argv[2])
    flat = faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    faiss.write_index(flat, str(folder / "flat.faiss"))
    graph = hnswlib.Index("ip", rows.shape[1])
    graph.init_index(len(rows), M=LINKS, ef_construction=EF_CONSTRUCTION, random_seed=0)
    graph.add_items(rows)
    graph.save_index(str(folder / "hnsw.bin"))
    print(json.dumps({"rows": len(rows)}))


if __name__ == "__main__":
    main()
