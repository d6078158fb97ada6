"""The rules of sharing, free of AWS and HTTP: publishing, reading, viewing, snapshots, deletion."""
