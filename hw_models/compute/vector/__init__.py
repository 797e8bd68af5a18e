"""The vector unit of a core: element-wise work, normalisation, soft-max, scans."""
