"""Forms as people meet them: hosted pages, the script for other sites, links in mail."""
