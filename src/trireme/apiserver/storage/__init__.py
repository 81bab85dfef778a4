"""What etcd holds of an API server's objects: keys (``layout``) and values (``codec``), which
upstream's API server reads and writes as well."""
