"""What an incident leaves behind, as files; knows no judgement."""
