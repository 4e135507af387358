"""Label hierarchies: any directed acyclic graph, its file formats, its checks and its closure."""
