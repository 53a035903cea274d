"""The site: pages that are rendered on the server, over the same rooms that the API stands on."""
