# Start the swap
TASK=$(curl -s https://swap.example.com/api/v1/images/tools/face-swap \
  -H "Authorization: Bearer YOUR_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "face-swap",
    "image": "https://swap.example.com/samples/park.jpg",
    "face_image": "https://swap.example.com/samples/woman.jpg"
  }' | sed 's/.*"task_id":"\([^"]*\)".*/\1/')

# Wait up to 60 seconds for its end: data.output.image_url is the picture
curl -s "https://swap.example.com/api/v1/tasks/$TASK?wait=60" \
  -H "Authorization: Bearer YOUR_KEY"
