"""What can be asked at every address; the guard of the live server says who may."""
