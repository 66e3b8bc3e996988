"""Many at once: viewers that open studies, as people do, while modalities store new ones."""
