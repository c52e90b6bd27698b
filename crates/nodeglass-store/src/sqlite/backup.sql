vacuum into $1
