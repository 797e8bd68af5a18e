"""Steps of a language model that are divided between cores and processing in memory."""
