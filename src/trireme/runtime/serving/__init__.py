"""The HTTPS server of a component: health, metrics, configuration, for whoever may see them."""
