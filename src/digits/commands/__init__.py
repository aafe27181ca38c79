"""The commands of `digits`. No stage imports them."""
